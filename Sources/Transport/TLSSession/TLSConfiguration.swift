/// What a TLS server presents: a certificate chain and its key, both PEM files.
package struct ServerTLS: Sendable, Hashable {
    /// The server's own certificate first, then those that lead to a root.
    package var certificateChainFile: String
    /// The first certificate's key, unencrypted.
    package var privateKeyFile: String
    /// Clients must show a certificate that an authority in this PEM file signed; nil: they show none.
    package var clientAuthorityFile: String?
    /// TLS 1.2 too, with forward secrecy and authenticated encryption only; otherwise 1.3 alone.
    package var acceptsTLS12: Bool

    package init(
        certificateChainFile: String, privateKeyFile: String, clientAuthorityFile: String? = nil,
        acceptsTLS12: Bool = false
    ) {
        self.certificateChainFile = certificateChainFile
        self.privateKeyFile = privateKeyFile
        self.clientAuthorityFile = clientAuthorityFile
        self.acceptsTLS12 = acceptsTLS12
    }
}

/// What a TLS client presents to servers that ask for a certificate: a chain and its key, both PEM files.
package struct ClientIdentity: Sendable, Equatable {
    /// The client's own certificate first, then those that lead to a root.
    package var certificateChainFile: String
    /// The first certificate's key, unencrypted.
    package var privateKeyFile: String

    package init(certificateChainFile: String, privateKeyFile: String) {
        self.certificateChainFile = certificateChainFile
        self.privateKeyFile = privateKeyFile
    }
}

/// Which servers a TLS client trusts, and the certificate that it presents.
package struct ClientTLS: Sendable, Equatable {
    /// How the server's certificate is judged.
    package enum Trust: Sendable, Equatable {
        /// By the authorities that this machine trusts; the name must match.
        case system
        /// By the authorities in a PEM file; the name must match.
        case authorities(file: String)
        /// By its SHA-256 (32 bytes, of its DER form) alone; issuer and names are ignored.
        case pinned(sha256: [UInt8])
    }

    package var trust: Trust
    /// The name to ask for and to check; nil: the host of the address.
    package var serverName: String?
    /// Nil: the client presents no certificate.
    package var identity: ClientIdentity?

    package init(trust: Trust = .system, serverName: String? = nil, identity: ClientIdentity? = nil) {
        self.trust = trust
        self.serverName = serverName
        self.identity = identity
    }
}
