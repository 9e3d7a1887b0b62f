import COpenSSL
import LinuxSystem

/// A TLS client that does what ours never would. Blocking, off the loop; it accepts any certificate.
final class RawTLSClient {
    private let socket: RawSocket
    private let ssl: OpaquePointer
    /// Between OpenSSL and the socket, so that a server that has closed raises no SIGPIPE.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    struct Failed: Error {}

    init(to address: SocketAddress) throws {
        socket = try RawSocket(to: address)
        guard let context = SSL_CTX_new(TLS_client_method()), let ssl = SSL_new(context),
            let incoming = BIO_new(BIO_s_mem()),
            let outgoing = BIO_new(BIO_s_mem())
        else { throw Failed() }
        SSL_CTX_free(context)
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_alpn_protos(ssl, [2, 0x68, 0x32], 3)
        while SSL_connect(ssl) != 1 {
            try socket.send(written())
            take(try socket.readSome())
        }
    }

    deinit { SSL_free(ssl) }

    func send(_ bytes: [UInt8]) throws {
        SSL_write(ssl, bytes, CInt(bytes.count))
        try socket.send(written())
    }

    /// Sends so many KeyUpdate messages (RFC 8446, section 4.6.3).
    func sendKeyUpdates(_ count: Int) throws {
        for _ in 0..<count {
            guard SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1, SSL_do_handshake(ssl) == 1 else {
                throw Failed()
            }
        }
        try socket.send(written())
    }

    /// Reads until the server closes; what it sent.
    func readToEnd() -> [UInt8] {
        take(socket.readToEnd())
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while case let count = SSL_read(ssl, &buffer, CInt(buffer.count)), count > 0 { bytes += buffer[..<Int(count)] }
        return bytes
    }

    private func take(_ bytes: [UInt8]) { BIO_write(incoming, bytes, CInt(bytes.count)) }

    private func written() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(outgoing))
        BIO_read(outgoing, &bytes, CInt(bytes.count))
        return bytes
    }
}
