internal import LinuxSystem

/// Decides by the fields Host and Origin whether a request may be answered: a page of another site that is open in the
/// owner's browser can send requests to this machine too, and can have its own name lead here (DNS rebinding).
package struct RequestOrigin: Equatable, Sendable {
    /// Names by which this host may be called besides "localhost", names below it, and addresses, which no site can
    /// make lead elsewhere; lower case, without a port. "*." at the beginning stands for one label, as in certificates.
    package var names: Set<String> = []
    /// The origins of pages that may call, as browsers write them: "https://example.org".
    package var origins: Set<String> = []

    package init(names: [String] = [], origins: [String] = []) {
        self.names = Set(names.map { $0.lowercased() })
        self.origins = Set(origins.map { $0.lowercased() })
    }

    /// Throws 421 where the field Host names another host, and 403 where a page of another origin asks. Returns the
    /// origin that the answer has to allow by name (Fetch, section 3.2); nil where none has to be.
    package func check(host: String?, origin: String?) throws(HTTPFailure) -> String? {
        guard let host, let name = Self.name(of: host) else {
            throw HTTPFailure(
                400, type: "invalid_request_error", "the field Host is missing, comes twice, or is no host")
        }
        guard isOwn(name) else {
            throw HTTPFailure(
                421, type: "invalid_request_error", code: "unknown_host",
                "'\(name.prefix(128))' is no name of this host: use its address, or have its owner allow the name with "
                    + "--http-name")
        }
        guard let origin else { return nil }
        let lower = origin.lowercased()
        // The page that came from here.
        if lower == "http://" + host.lowercased() || lower == "https://" + host.lowercased() { return nil }
        guard origins.contains(lower) else {
            throw HTTPFailure(
                403, type: "permission_error", code: "origin_not_allowed",
                "pages of '\(origin.prefix(128))' may not call: have this host's owner allow them with --http-origin")
        }
        return origin
    }

    /// The host that a request is for: that of its target where the target is a whole URI (RFC 9112, section 3.2.2), and
    /// otherwise that of its field Host. Nil where there is none, or more than one.
    package static func host(of target: String, fields: [String]) -> String? {
        guard fields.count < 2 else { return nil }
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return fields.first }
        return String(target[scheme.upperBound...].prefix { !"/?#".contains($0) })
    }

    private func isOwn(_ name: String) -> Bool {
        name == "localhost" || name.hasSuffix(".localhost") || names.contains(name) || SocketAddress.isAddress(name)
            || name.firstIndex(of: ".").map { names.contains("*" + name[$0...]) } ?? false
    }

    /// The host of a field Host, without the port (RFC 9110, section 7.2).
    private static func name(of host: String) -> String? {
        let name: Substring
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return nil }
            name = host[host.index(after: host.startIndex)..<end]
        } else {
            name = host.prefix { $0 != ":" }
        }
        return name.isEmpty ? nil : name.lowercased()
    }
}
