internal import BaseEncodings

/// What is pulled.
package enum PullSource: Equatable, Sendable {
    /// An image of a registry (OCI distribution specification).
    case image(ImageReference)
    /// A file behind an HTTP(S) address, and its SHA-256, 32 bytes. The address has no fragment.
    case address(String, digest: [UInt8])
    /// A file of this machine, and the SHA-256 that it must have; nil: any.
    case file(String, digest: [UInt8]?)

    /// Reads what a person wrote: a path that begins with "/", "./" or "../" or is a file's name that ends with ".gguf";
    /// an address with its scheme; otherwise an image. `sha256`: 64 hexadecimal digits, which an address may have in its
    /// fragment instead.
    package static func parse(_ text: String, sha256: String? = nil) throws(PullFailure) -> PullSource {
        guard !text.isEmpty, text.utf8.count <= 4_096, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw PullFailure(
                .usage, "'\(text.prefix(64))' is no source: it is empty, too long, or has control characters")
        }
        let digest = try sha256.map { (text) throws(PullFailure) in try Self.digest(text, "--sha256") }
        if isPath(text) { return .file(text, digest: digest) }
        let lower = text.lowercased()
        if lower.hasPrefix("http://") || lower.hasPrefix("https://") { return try address(text, digest: digest) }
        let image = try ImageReference(text)
        guard digest == nil else {
            throw PullFailure(
                .usage, "an image's digest is written into its name (\(image.withoutTag)@sha256:…), not as --sha256")
        }
        return .image(image)
    }

    private static func isPath(_ text: String) -> Bool {
        if text.hasPrefix("/") || text.hasPrefix("./") || text.hasPrefix("../") { return true }
        guard text.lowercased().hasSuffix(".gguf"), !text.contains("://") else { return false }
        // "models/x.gguf", but not "host.example/x.gguf".
        let first = text.prefix { $0 != "/" }
        return first.count == text.count || !ImageReference.isHost(first)
    }

    private static func address(_ text: String, digest said: [UInt8]?) throws(PullFailure) -> PullSource {
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let address = String(parts[0])
        guard !text.contains(" "), let host = HostName(ofAddress: address) else {
            throw PullFailure(.usage, "'\(text)' is no address of a file: write https://HOST/PATH/NAME.gguf#sha256=HEX")
        }
        guard !host.hasUser else {
            throw PullFailure(
                .usage, "an address with a user's name or password would be seen by others: put them into ~/.netrc")
        }
        guard address.lowercased().hasPrefix("https://") || host.isLoopback else {
            throw PullFailure(.usage, "\(host.text) would be asked without TLS: write https:// in place of http://")
        }
        var digest = said
        if parts.count == 2 {
            guard parts[1].hasPrefix("sha256=") else {
                throw PullFailure(.usage, "'#\(parts[1])' says nothing here: write #sha256= and the file's digest")
            }
            let inFragment = try Self.digest(String(parts[1].dropFirst(7)), "sha256=")
            guard digest == nil || digest == inFragment else {
                throw PullFailure(.usage, "--sha256 and the address name different digests: leave one of them out")
            }
            digest = inFragment
        }
        guard let digest else {
            throw PullFailure(
                .usage,
                "a file from an address is taken only with its SHA-256: add #sha256=HEX to the address. Its publisher names "
                    + "it beside the file (on Hugging Face it stands on the file's page); of a file that you have and trust, "
                    + "sha256sum prints it")
        }
        return .address(address, digest: digest)
    }

    private static func digest(_ text: String, _ place: String) throws(PullFailure) -> [UInt8] {
        guard let digest = fromHexadecimal(text.utf8), digest.count == 32 else {
            throw PullFailure(
                .usage, "\(place) must be the 64 hexadecimal digits of a SHA-256, not '\(text.prefix(80))'")
        }
        return digest
    }
}

/// An image in a registry, as a person names it.
package struct ImageReference: Equatable, Sendable, CustomStringConvertible {
    /// The registry's name with its port, if one was named: "docker.io", "127.0.0.1:5000".
    package let host: String
    /// Its components are separated by "/".
    package let repository: String
    /// Nil where only a digest was named.
    package let tag: String?
    /// The SHA-256 of the manifest, 32 bytes; nil: the tag says which one.
    package let digest: [UInt8]?

    /// Reads "HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX]", with "oci://" or "docker://" before it or not. Without a tag and a
    /// digest it is ":latest".
    package init(_ text: String) throws(PullFailure) {
        var rest = text[...]
        for scheme in ["oci://", "docker://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        if let scheme = rest.firstRange(of: "://") {
            throw PullFailure(
                .usage,
                "'\(rest[..<scheme.lowerBound])' is no scheme of a source: there are oci, docker, https and http")
        }
        guard let slash = rest.firstIndex(of: "/"), Self.isHost(rest[..<slash]) else {
            let name = rest.isEmpty ? "NAME" : String(rest.prefix(128))
            let ofDocker = name.contains("/") ? name : "ai/\(name)"
            let ofOllama = name.contains("/") ? name : "library/\(name)"
            throw PullFailure(
                .usage,
                "'\(text)' does not say which registry has it: write docker.io/\(ofDocker) or registry.ollama.ai/\(ofOllama)"
                    + "; a file is written ./NAME")
        }
        let said = String(rest[..<slash]).lowercased()
        var path = rest[rest.index(after: slash)...]
        digest = try Self.takeDigest(&path, of: text)
        if let colon = path.lastIndex(of: ":") {
            let tag = String(path[path.index(after: colon)...])
            guard tag.wholeMatch(of: /[A-Za-z0-9_][A-Za-z0-9._-]{0,127}/) != nil else {
                throw PullFailure(.usage, "'\(text)': '\(tag.prefix(64))' is no tag")
            }
            self.tag = tag
            path = path[..<colon]
        } else {
            tag = digest == nil ? "latest" : nil
        }
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard path.utf8.count <= 255, components.allSatisfy({ $0.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil })
        else { throw PullFailure(.usage, "'\(text)': '\(path.prefix(64))' is no name of a repository") }
        host = Self.ollama.contains(said) ? "registry.ollama.ai" : Self.docker.contains(said) ? "docker.io" : said
        // Both registries keep the names without an owner there.
        let isShort = components.count == 1 && ["docker.io", "registry.ollama.ai"].contains(host)
        repository = isShort ? "library/\(path)" : String(path)
    }

    private static let ollama: Set = ["ollama.com", "registry.ollama.ai"]
    private static let docker: Set = [
        "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com",
    ]

    private static func takeDigest(_ path: inout Substring, of text: String) throws(PullFailure) -> [UInt8]? {
        guard let at = path.lastIndex(of: "@") else { return nil }
        let digest = path[path.index(after: at)...]
        guard digest.hasPrefix("sha256:"), let bytes = fromHexadecimal(digest.dropFirst(7).utf8), bytes.count == 32
        else {
            throw PullFailure(.usage, "'\(text)': a digest is written @sha256: and 64 hexadecimal digits")
        }
        path = path[..<at]
        return bytes
    }

    /// Whether the part of a name before its first slash is a host, as Docker decides it.
    static func isHost(_ text: Substring) -> Bool {
        guard text == "localhost" || text.contains(".") || text.contains(":") else { return false }
        return text.wholeMatch(of: /(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?/) != nil
    }

    /// Where its requests go: Docker's registry has another name than its images.
    package var endpoint: String { host == "docker.io" ? "registry-1.docker.io" : host }

    /// Whether the registry is this machine, and may be asked without TLS.
    package var isLoopback: Bool { HostName(host).isLoopback }

    /// The tag or the digest, as the registry's addresses have it.
    package var selector: String { digest.map { "sha256:\(hexadecimal($0))" } ?? tag ?? "latest" }

    package var withoutTag: String { "\(host)/\(repository)" }

    package var description: String {
        withoutTag + (tag.map { ":\($0)" } ?? "") + (digest.map { "@sha256:\(hexadecimal($0))" } ?? "")
    }
}

/// The host of an address.
package struct HostName: Equatable, Sendable {
    /// Without port and brackets, in lower case.
    package let name: String
    /// As written, with its port.
    package let text: String
    let hasUser: Bool

    /// The host in "HOST[:PORT]".
    package init(_ text: some StringProtocol) {
        self.text = String(text)
        hasUser = false
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            name = String(text[text.index(after: text.startIndex)..<end]).lowercased()
        } else {
            name = String(text.prefix { $0 != ":" }).lowercased()
        }
    }

    /// The host in "SCHEME://[USER@]HOST[:PORT]/…"; nil: there is none.
    package init?(ofAddress address: String) {
        guard let scheme = address.firstRange(of: "://") else { return nil }
        let authority = address[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != "\\" }
        let host = HostName(
            authority[(authority.lastIndex(of: "@").map(authority.index(after:)) ?? authority.startIndex)...])
        guard !host.name.isEmpty else { return nil }
        name = host.name
        text = host.text
        hasUser = authority.contains("@")
    }

    /// Whether it is this machine: 127.0.0.0/8, ::1 and localhost, which need no TLS.
    package var isLoopback: Bool {
        if name == "localhost" || name == "::1" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
