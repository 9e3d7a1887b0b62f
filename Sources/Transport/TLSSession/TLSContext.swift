internal import COpenSSL
internal import Cryptography

/// The settings of TLS sessions, with the certificates read; TLS 1.3, and one protocol of applications only.
///
/// Owns an `SSL_CTX` until the last session made of it is gone. Made on any thread, then only read (SSL_CTX_new(3):
/// contexts may be shared once they are set up).
package final class TLSContext: Sendable {
    // Proof: an SSL_CTX counts its references atomically and is not changed after `init`.
    nonisolated(unsafe) let context: OpaquePointer
    let pinnedSHA256: [UInt8]?
    let serverName: String?
    let isServer: Bool
    let speaks: ApplicationProtocol

    deinit { SSL_CTX_free(context) }

    /// Reads the server's files; throws with the file's name and OpenSSL's reason.
    package convenience init(server: ServerTLS) throws(TLSError) {
        try self.init(server: ServerIdentity(reading: server), speaking: .http2)
    }

    /// Throws with the name of the text that cannot be used, and OpenSSL's reason.
    package init(server: ServerIdentity, speaking: ApplicationProtocol) throws(TLSError) {
        isServer = true
        speaks = speaking
        pinnedSHA256 = nil
        serverName = nil
        context = try TLSContext.make(TLS_server_method())
        try show(server.certificateChain, server.privateKey)
        switch speaking {
        case .http2: SSL_CTX_set_alpn_select_cb(context, selectHTTP2, nil)
        case .http1: SSL_CTX_set_alpn_select_cb(context, selectHTTP1, nil)
        }
        hearth_ssl_ctx_no_renegotiation(context)
        if server.acceptsTLS12 { try acceptTLS12() }
        if let authorities = server.clientAuthorities { try requireClientCertificate(authorities) }
    }

    /// The SHA-256 of the certificate that it presents. Throws when it presents none.
    package func certificateSHA256() throws(TLSError) -> [UInt8] {
        guard let certificate = SSL_CTX_get0_certificate(context) else {
            throw TLSError(.configuration, "there is no certificate")
        }
        return try SHA256.fingerprint(of: certificate)
    }

    /// The names in the certificate that it presents; nil: it presents none.
    package var certificateNames: PeerCertificate? {
        SSL_CTX_get0_certificate(context).map(PeerCertificate.init)
    }

    private func show(_ chain: PEMText, _ key: PEMText) throws(TLSError) {
        var hasLeaf = false
        try chain.readCertificates("the certificate chain") { certificate in
            defer { hasLeaf = true }
            return hasLeaf
                ? hearth_ssl_ctx_add_chain_certificate(context, certificate) == 1
                : SSL_CTX_use_certificate(context, certificate) == 1
        }
        let isUsed = key.withBIO { bio in
            guard let read = PEM_read_bio_PrivateKey(bio, nil, refusePassword, nil) else { return false }
            defer { EVP_PKEY_free(read) }
            return SSL_CTX_use_PrivateKey(context, read) == 1
        }
        guard isUsed else {
            let error = TLSError.last(.configuration, "read the private key \(key.name)")
            throw TLSError(.configuration, "\(error); it must be PEM and not encrypted, and the certificate's")
        }
        guard SSL_CTX_check_private_key(context) == 1 else {
            throw TLSError.last(.configuration, "\(key.name) is not the key of \(chain.name)")
        }
    }

    /// RFC 9113, section 9.2.2, forbids what this list leaves out.
    private func acceptTLS12() throws(TLSError) {
        guard hearth_ssl_ctx_set_min_tls12(context) == 1,
            SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1
        else { throw TLSError.last(.configuration, "accept TLS 1.2") }
    }

    /// A handshake fails without a certificate that one of these authorities has signed (SSL_CTX_set_verify(3)). The
    /// server issues no session tickets, so each connection presents its certificate again.
    private func requireClientCertificate(_ authorities: PEMText) throws(TLSError) {
        try authorities.readCertificates("the certificate authorities of clients,") { certificate in
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1
                && SSL_CTX_add_client_CA(context, certificate) == 1
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        hearth_ssl_ctx_no_tickets(context)
    }

    /// Reads the authorities and the identity; `host` is the name to check when the configuration names none.
    package init(client: ClientTLS, host: String?) throws(TLSError) {
        isServer = false
        speaks = .http2
        serverName = client.serverName ?? host
        if case .pinned(let sha256) = client.trust { pinnedSHA256 = sha256 } else { pinnedSHA256 = nil }
        // This is the last property to be set: after a throw from here on `deinit` frees it.
        context = try TLSContext.make(TLS_client_method())
        switch client.trust {
        case .system:
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            guard SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw TLSError.last(.configuration, "find this machine's certificate authorities")
            }
        case .authorities(let file):
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            guard SSL_CTX_load_verify_file(context, file) == 1 else {
                throw TLSError.last(.configuration, "read the certificate authorities \(file)")
            }
        case .pinned(let sha256):
            guard sha256.count == SHA256.byteCount else {
                throw TLSError(.configuration, "a pinned SHA-256 has 32 bytes, not \(sha256.count)")
            }
            // The handshake accepts any certificate; the session then compares it with the pinned one before it
            // gives or takes a byte.
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        }
        if let identity = client.identity {
            try show(
                PEMText(file: identity.certificateChainFile, "certificate chain"),
                PEMText(file: identity.privateKeyFile, "private key"))
        }
        guard SSL_CTX_set_alpn_protos(context, protocolList, UInt32(protocolList.count)) == 0 else {
            throw TLSError.last(.configuration, "offer HTTP/2")
        }
    }

    private static func make(_ method: OpaquePointer?) throws(TLSError) -> OpaquePointer {
        guard let context = SSL_CTX_new(method) else { throw TLSError.last(.configuration, "set up TLS") }
        guard hearth_ssl_ctx_set_min_tls13(context) == 1 else {
            SSL_CTX_free(context)
            throw TLSError.last(.configuration, "require TLS 1.3")
        }
        hearth_ssl_ctx_set_modes(context)
        return context
    }
}

/// ALPN's wire form of the one protocol spoken here (RFC 7301).
private let protocolList: [UInt8] = [2, 0x68, 0x32]

/// Pick the protocol out of what the client offers, or end the handshake (SSL_CTX_set_alpn_select_cb(3)).
private func selectHTTP2(
    _ ssl: OpaquePointer?, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ selectedLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32,
    _ argument: UnsafeMutableRawPointer?
) -> CInt {
    select(ApplicationProtocol.http2Name, selected, selectedLength, offered, offeredLength)
}

private func selectHTTP1(
    _ ssl: OpaquePointer?, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ selectedLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32,
    _ argument: UnsafeMutableRawPointer?
) -> CInt {
    select(ApplicationProtocol.http1Name, selected, selectedLength, offered, offeredLength)
}

private func select(
    _ name: [UInt8], _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ selectedLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32
) -> CInt {
    guard let offered, let selected, let selectedLength else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let count = Int(offeredLength)
    var position = 0
    while position < count {
        let length = Int(offered[position])
        guard position + 1 + length <= count else { break }
        if UnsafeBufferPointer(start: offered + position + 1, count: length).elementsEqual(name) {
            // It points into the client's list, which OpenSSL keeps until it has copied the name.
            selected.pointee = offered + position + 1
            selectedLength.pointee = UInt8(length)
            return SSL_TLSEXT_ERR_OK
        }
        position += 1 + length
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}

/// Without this OpenSSL asks for the password of an encrypted key on the terminal, and waits for it.
private func refusePassword(
    _ buffer: UnsafeMutablePointer<CChar>?, _ count: CInt, _ writes: CInt, _ argument: UnsafeMutableRawPointer?
) -> CInt { -1 }

extension PEMText {
    /// Calls `body` with a BIO that reads the text.
    fileprivate func withBIO(_ body: (OpaquePointer) -> Bool) -> Bool {
        ERR_clear_error()
        return bytes.withUnsafeBytes { bytes in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return false }
            defer { BIO_free(bio) }
            return body(bio)
        }
    }

    /// Calls `take` with each certificate in the text, in order, at least one; it says whether it could use it.
    fileprivate func readCertificates(_ role: String, take: (OpaquePointer) -> Bool) throws(TLSError) {
        let isRead = withBIO { bio in
            var isEmpty = true
            while let certificate = PEM_read_bio_X509_AUX(bio, nil, refusePassword, nil) {
                defer { X509_free(certificate) }
                guard take(certificate) else { return false }
                isEmpty = false
            }
            // That there is no further one is told as an error, like one that is damaged.
            return !isEmpty && hearth_pem_has_ended() == 1
        }
        guard isRead else { throw TLSError.last(.configuration, "read \(role) \(name)") }
        ERR_clear_error()
    }
}
