package import LinuxSystem

/// Everything that the owner can set, from flags, the environment and a file, in this order.
package struct HostConfiguration: Sendable, Equatable {
    /// The addresses that consumers connect to.
    package var listen: [SocketAddress] = [.internet(host: "127.0.0.1", port: 50051)]
    /// Whether to refuse any address but loopback and Unix sockets, which are served without TLS.
    package var plaintext = false
    /// Whether local addresses are served with TLS, too; on others it is always on.
    package var tls = false
    /// PEM files of the certificate and its key; generated in the state folder when absent and needed.
    package var tlsCertificate: String?
    package var tlsKey: String?
    /// A PEM file: clients must show a certificate that an authority in it signed.
    package var tlsClientAuthority: String?
    /// The only subjects of such certificates that may call: common names, or alternative names (DNS, URI). Empty: all.
    package var tlsClientSubjects: [String] = []
    /// "1.3", or "1.2" to accept that too.
    package var tlsMinimum = "1.3"
    /// Whether local addresses ask for a key, too; others always do.
    package var requireKey = false
    /// Settings that were given by a name of earlier versions: one line each, with the place and the new name.
    package var olderNames: [String] = []
    /// The folder of backend executables.
    package var backends: String?
    /// The folders of models, in order of precedence; empty: the default one.
    package var models: [String] = []
    /// How long a model that is loaded on demand is kept after its last request, in seconds; nil: 300.
    package var keepAlive: UInt32?
    /// The memory that all models together may take, in bytes; nil: half of the machine's.
    package var memory: UInt64?
    /// The folder of the agent's files: keys, the generated certificate, the owner's socket.
    package var state: String?
    /// The folder of seccomp policies.
    package var policies: String?
    /// "full", or "reduced" if the owner accepts less.
    package var tier = "full"
    /// "first-sight": a backend whose files have changed since it was first seen waits for its owner. "off": it runs.
    package var pinBackends = "first-sight"
    /// For how many seconds backends and turns are kept when the agent has died; nil or 0: they end with it.
    package var surviveCrash: UInt32?
    /// The longest of these times: what is kept takes memory, and nobody may come back.
    package static let surviveCrashMax: UInt32 = 600
    /// The user to become when started as root.
    package var user: String?
    /// Paths that manifests may ask to read, and everything below them.
    package var readable: [String] = []
    /// Devices below /dev that manifests may ask to use.
    package var devices: [String] = []
    /// The address of the HTTP bridge; nil, or "off": there is none.
    package var http: String?
    /// What is written for `http` where its owner wants none, and wants that kept.
    package static let httpOff = "off"
    /// Names by which HTTP requests may call this host, besides "localhost" and addresses.
    package var httpNames: [String] = []
    /// The origins of pages that may send HTTP requests.
    package var httpOrigins: [String] = []
    /// How long consumers' connections live.
    package var connectionTimes = ConnectionTimes()
    /// The address of the collector that traces are exported to; nil: nothing is traced.
    package var otlpEndpoint: String?
    /// A PEM file of the authorities that the collector's certificate is judged by; nil: those that this machine trusts.
    package var otlpAuthorities: String?
    /// The file of the metadata that exports carry.
    package var otlpHeaders: String?
    /// The part of the turns whose callers do not say whether they are traced; nil: all.
    package var traceRatio: Double?
    /// "text" or "json".
    package var logFormat = "text"

    package init() {}

    /// The names that flags, environment and file share; in the environment they are upper case, '-' is '_', and
    /// HEARTH_ stands before them.
    package enum Key: String, CaseIterable, Sendable {
        case listen, plaintext, tls
        case tlsCertificate = "tls-certificate"
        case tlsKey = "tls-key"
        case tlsClientAuthority = "tls-client-authority"
        case tlsClientSubjects = "tls-client-subject"
        case tlsMinimum = "tls-minimum"
        case requireKey = "require-key"
        case pinBackends = "pin-backends"
        case backends, models, state, policies, tier, user, readable, devices, memory
        case http
        case httpNames = "http-name"
        case httpOrigins = "http-origin"
        case keepAlive = "keep-alive"
        case surviveCrash = "survive-crash"
        case keepaliveTime = "keepalive-time"
        case keepaliveTimeout = "keepalive-timeout"
        case minPingInterval = "min-ping-interval"
        case maxConnectionIdle = "max-connection-idle"
        case maxConnectionAge = "max-connection-age"
        case maxConnectionAgeGrace = "max-connection-age-grace"
        case otlpEndpoint = "otlp-endpoint"
        case otlpAuthorities = "otlp-ca"
        case otlpHeaders = "otlp-headers-file"
        case traceRatio = "trace-ratio"
        case logFormat = "log-format"

        /// Names that settings had in earlier versions.
        static let older: [String: Key] = ["require-token": .requireKey]

        /// A setting by its name, or by the one that it had before.
        init?(name: String) {
            guard let key = Key(rawValue: name) ?? Key.older[name] else { return nil }
            self = key
        }
    }
}

/// An invalid setting, or a failed start: one line that names the thing and the remedy.
package struct HostError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension HostConfiguration {
    /// Returns the configuration; throws if settings contradict each other.
    package func validated() throws(HostError) -> HostConfiguration {
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw HostError("tls-certificate and tls-key belong together: give both or neither")
        }
        guard tlsClientSubjects.isEmpty || tlsClientAuthority != nil else {
            throw HostError(
                "tls-client-subject needs tls-client-authority: the PEM file of the clients' certificate authority")
        }
        if let path = readable.first(where: { !$0.hasPrefix("/") || $0 == "/" }) {
            throw HostError("readable '\(path)': write an absolute path, and not /")
        }
        if let path = devices.first(where: { !$0.hasPrefix("/dev/") }) {
            throw HostError("devices '\(path)': write a path below /dev, such as /dev/nvidia0")
        }
        if connectionTimes.keepaliveTimeout == 0 {
            throw HostError("keepalive-timeout 0: a consumer needs time to answer; write at least 1")
        }
        if connectionTimes.minPingInterval == 0 {
            throw HostError("min-ping-interval 0: consumers could ping without end; write at least 1")
        }
        if let surviveCrash, surviveCrash > Self.surviveCrashMax {
            throw HostError(
                "survive-crash \(surviveCrash): what is kept takes memory; write at most \(Self.surviveCrashMax)")
        }
        _ = try httpAddress()
        let collector = try collector()
        guard collector != nil || otlpAuthorities == nil && otlpHeaders == nil && traceRatio == nil else {
            throw HostError(
                "otlp-ca, otlp-headers-file and trace-ratio need otlp-endpoint: the address of the collector of traces")
        }
        guard otlpAuthorities == nil || collector?.usesTLS == true else {
            throw HostError("otlp-ca needs an otlp-endpoint with https://: without TLS there is no certificate")
        }
        guard http != nil || httpNames.isEmpty && httpOrigins.isEmpty else {
            throw HostError("http-name and http-origin need http: the address that HTTP is served on")
        }
        if let origin = httpOrigins.first(where: { !HostConfiguration.isOrigin($0) }) {
            throw HostError("http-origin '\(origin)': write it as browsers do, such as https://example.org")
        }
        if plaintext {
            if let open = listen.first(where: { !$0.isLocal }) {
                throw HostError(
                    "plaintext is refused on \(open), which other machines can reach: leave --plaintext out to serve TLS "
                        + "there, or listen on 127.0.0.1, [::1] or unix:PATH")
            }
            if let open = try httpAddress(), !open.isLocal {
                throw HostError(
                    "plaintext is refused on http \(open), which other machines can reach: leave --plaintext out to serve "
                        + "TLS there, or serve HTTP on 127.0.0.1 or [::1]")
            }
            if tls || tlsCertificate != nil || tlsClientAuthority != nil {
                throw HostError("plaintext and tls contradict each other: choose one")
            }
        }
        return self
    }

    /// The address of the HTTP bridge; nil: there is none. Throws for one that cannot be served.
    package func httpAddress() throws(HostError) -> SocketAddress? {
        guard let http, http != Self.httpOff else { return nil }
        let address: SocketAddress
        do throws(SocketAddressError) {
            address = try SocketAddress(http)
        } catch {
            throw HostError("http \(error)")
        }
        guard case .internet = address else {
            throw HostError("http \(address): write HOST:PORT, such as 127.0.0.1:8080")
        }
        return address
    }

    /// Whether a text is an origin (RFC 6454, section 6.2): a scheme and a host, without a path.
    private static func isOrigin(_ text: String) -> Bool {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex, text[colon...].hasPrefix("://") else {
            return false
        }
        let host = text[colon...].dropFirst("://".count)
        return !host.isEmpty && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
    }

    /// Whether consumers need a key to call on this address. A client's certificate counts as a key.
    package func requiresKey(on address: SocketAddress) -> Bool {
        requireKey || (!address.isLocal && tlsClientAuthority == nil)
    }

    /// Whether HTTP requests need a key on this address. A client's certificate does not take its place: the agent knows
    /// who comes by the bridge by the key alone.
    package func requiresKeyOverHTTP(on address: SocketAddress) -> Bool { requireKey || !address.isLocal }

    /// Whether HTTP is served with TLS on this address. On loopback the owner asks for that by name: programs are told of
    /// `http://127.0.0.1`, whatever certificate gRPC has for other machines.
    package func usesTLSOverHTTP(on address: SocketAddress) -> Bool { !address.isLocal || tls }

    /// Whether this address is served with TLS.
    package func usesTLS(on address: SocketAddress) -> Bool {
        !address.isLocal || tls || tlsCertificate != nil || tlsClientAuthority != nil
    }
}
