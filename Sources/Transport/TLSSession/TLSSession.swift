internal import BaseEncodings
internal import COpenSSL
internal import Cryptography
internal import Glibc
package import LinuxSystem

/// TLS on one connected, non-blocking socket, which the caller keeps open for as long as the session lives; or on bytes that
/// the caller carries.
///
/// Owns an `SSL`; one thread at a time. Nothing here blocks or raises SIGPIPE.
package final class TLSSession {
    /// The result of a step.
    package enum Step: Equatable {
        /// The handshake is complete, or this many bytes were moved.
        case moved(Int)
        /// Go on when the socket is readable.
        case wantRead
        /// Go on when the socket is writable.
        case wantWrite
        /// The other end has closed; reading only.
        case ended
    }

    /// The other end's certificate, on a server that asks for one, once the handshake is complete.
    package private(set) var peerCertificate: PeerCertificate?

    private let ssl: OpaquePointer
    private let context: TLSContext
    /// One of both.
    private let socket: UnsafeMutablePointer<SocketBIO.State>?
    private let carried: UnsafeMutablePointer<CarriedBIO.State>?
    /// KeyUpdate messages received since `takeKeyUpdates` was last called.
    private let keyUpdates: UnsafeMutablePointer<CInt>

    package convenience init(_ context: TLSContext, on socket: borrowing Descriptor) throws(TLSError) {
        let state = UnsafeMutablePointer<SocketBIO.State>.allocate(capacity: 1)
        state.initialize(to: SocketBIO.State(socket: socket.raw))
        try self.init(context, socket: state, carried: nil)
    }

    /// One whose bytes the caller carries: `receive` for those that come, `takeOutgoing` for those that go.
    package convenience init(carrying context: TLSContext) throws(TLSError) {
        let state = UnsafeMutablePointer<CarriedBIO.State>.allocate(capacity: 1)
        state.initialize(to: CarriedBIO.State())
        try self.init(context, socket: nil, carried: state)
    }

    /// Takes over the one that is there.
    private init(
        _ context: TLSContext, socket: UnsafeMutablePointer<SocketBIO.State>?,
        carried: UnsafeMutablePointer<CarriedBIO.State>?
    ) throws(TLSError) {
        guard let ssl = SSL_new(context.context) else {
            let error = TLSError.last(.configuration, "begin a TLS session")
            socket?.deallocate()
            carried?.deinitialize(count: 1).deallocate()
            throw error
        }
        self.ssl = ssl
        self.context = context
        self.socket = socket
        self.carried = carried
        keyUpdates = .allocate(capacity: 1)
        keyUpdates.initialize(to: 0)
        hearth_ssl_count_key_updates(ssl, keyUpdates)
        guard let bio = socket.map(SocketBIO.make) ?? carried.map(CarriedBIO.make) ?? nil else {
            throw TLSError.last(.configuration, "attach TLS to its bytes")
        }
        SSL_set_bio(ssl, bio, bio)
        if context.isServer {
            SSL_set_accept_state(ssl)
        } else {
            SSL_set_connect_state(ssl)
            if let name = context.serverName { try expect(name) }
        }
    }

    deinit {
        SSL_free(ssl)
        socket?.deallocate()
        carried?.deinitialize(count: 1).deallocate()
        keyUpdates.deallocate()
    }

    /// Lends the session bytes that came, for the time of `body`, which goes on with handshake and reads until `.wantRead`:
    /// then all of them are taken.
    package func receive<Result>(
        _ bytes: UnsafeRawBufferPointer, _ body: () throws(TLSError) -> Result
    ) throws(TLSError) -> Result {
        carried?.pointee.incoming = bytes
        defer { carried?.pointee.incoming = UnsafeRawBufferPointer(start: nil, count: 0) }
        return try body()
    }

    /// What the caller has to send now.
    package func takeOutgoing() -> [UInt8] {
        guard let carried else { return [] }
        defer { carried.pointee.outgoing = [] }
        return carried.pointee.outgoing
    }

    /// Asks for a server by name and has its certificate checked against it (SSL_set1_host(3)).
    private func expect(_ name: String) throws(TLSError) {
        var address = in6_addr()
        let isAddress = inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1
        let accepted =
            isAddress
            ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name)
            : SSL_set1_host(ssl, name) == 1 ? hearth_ssl_set_server_name(ssl, name) : 0
        guard accepted == 1 else { throw TLSError.last(.configuration, "'\(name)' is no server name") }
    }

    /// Goes on with the handshake; `.moved(0)` once it is over and the other end is accepted.
    package func handshake() throws(TLSError) -> Step {
        begin()
        let result = SSL_do_handshake(ssl)
        guard result == 1 else { return try step(result, "TLS handshake") }
        try checkProtocol()
        try checkPin()
        if context.isServer { peerCertificate = SSL_get0_peer_certificate(ssl).map(PeerCertificate.init) }
        return .moved(0)
    }

    /// SSL_read(3) into a buffer that is not empty. `.wantRead` also when the socket has more but the reads of this
    /// turn are used.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Step {
        begin()
        let count = SSL_read(ssl, buffer.baseAddress, CInt(clamping: buffer.count))
        return count > 0 ? .moved(Int(count)) : try step(count, "TLS read")
    }

    /// SSL_write(3) of at least one byte; may take only a part of the bytes.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(TLSError) -> Step {
        begin()
        let count = SSL_write(ssl, bytes.baseAddress, CInt(clamping: bytes.count))
        return count > 0 ? .moved(Int(count)) : try step(count, "TLS write")
    }

    private func begin() {
        ERR_clear_error()
        socket?.pointee.readsLeft = SocketBIO.readsPerCallMax
    }

    /// How many KeyUpdate messages were received since this was last asked.
    package func takeKeyUpdates() -> Int {
        defer { keyUpdates.pointee = 0 }
        return Int(keyUpdates.pointee)
    }

    /// Whether bytes are held that the socket will not announce (SSL_has_pending(3)).
    package var hasPending: Bool { SSL_has_pending(ssl) == 1 }

    /// Tells the other end that nothing follows (SSL_shutdown(3)); does not wait for its answer.
    package func close() {
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    private func step(_ result: CInt, _ operation: String) throws(TLSError) -> Step {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wantRead
        case SSL_ERROR_WANT_WRITE: return .wantWrite
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL:
            ERR_clear_error()
            throw TLSError(.peer, "\(operation): the connection was closed in the middle of it")
        default:
            let verdict = SSL_get_verify_result(ssl)
            if verdict != Int(X509_V_OK), context.pinnedSHA256 == nil, !context.isServer {
                ERR_clear_error()
                let reason = String(cString: X509_verify_cert_error_string(verdict))
                throw TLSError(.untrusted, "the server's certificate is not accepted: \(reason)")
            }
            throw TLSError.last(.peer, operation)
        }
    }

    /// A peer without ALPN gets through the handshake, so look again (RFC 9113, section 3.2).
    private func checkProtocol() throws(TLSError) {
        guard context.speaks == .http2 else { return }
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        guard let name, UnsafeBufferPointer(start: name, count: Int(length)).elementsEqual(context.speaks.name) else {
            throw TLSError(.peer, "the other end does not speak HTTP/2 (it did not agree to ALPN h2)")
        }
    }

    private func checkPin() throws(TLSError) {
        guard let pinned = context.pinnedSHA256 else { return }
        guard let certificate = SSL_get0_peer_certificate(ssl) else {
            throw TLSError(.untrusted, "the server showed no certificate")
        }
        let shown = try SHA256.fingerprint(of: certificate)
        guard CRYPTO_memcmp(shown, pinned, SHA256.byteCount) == 0 else {
            throw TLSError(
                .untrusted,
                "the server's certificate has the SHA-256 \(hexadecimal(shown)), not the pinned one")
        }
    }
}
