internal import COpenSSL
internal import LinuxSystem

/// OpenSSL's way to a socket through `Socket.send` and `Socket.receive`: its own writes without MSG_NOSIGNAL, and a
/// peer that is gone would then kill the process (BIO_meth_new(3)).
enum SocketBIO {
    // Proof: made once, never changed or freed.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "hearth socket")
        BIO_meth_set_write_ex(method) { bio, bytes, count, written in
            SocketBIO.write(bio, UnsafeRawBufferPointer(start: bytes, count: count), written)
        }
        BIO_meth_set_read_ex(method) { bio, bytes, count, moved in
            SocketBIO.read(bio, UnsafeMutableRawBufferPointer(start: bytes, count: count), moved)
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    private static let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY

    /// The socket stays the caller's. The result belongs to the `SSL` it is given to.
    static func make(socket: CInt) -> OpaquePointer? {
        guard let bio = BIO_new(method) else { return nil }
        // The descriptor itself, plus one so that it is never the null pointer; nothing is pointed at.
        BIO_set_data(bio, UnsafeMutableRawPointer(bitPattern: Int(socket) + 1))
        BIO_set_init(bio, 1)
        return bio
    }

    private static func socket(_ bio: OpaquePointer?) -> CInt { CInt(Int(bitPattern: BIO_get_data(bio)) - 1) }

    private static func write(
        _ bio: OpaquePointer?, _ bytes: UnsafeRawBufferPointer, _ written: UnsafeMutablePointer<Int>?
    ) -> CInt {
        BIO_clear_flags(bio, retryFlags)
        switch try? Socket.send(socket(bio), bytes) {
        case .moved(let count):
            written?.pointee = count
            return 1
        case .wouldBlock:
            BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
            return 0
        case .ended, nil: return 0
        }
    }

    private static func read(
        _ bio: OpaquePointer?, _ buffer: UnsafeMutableRawBufferPointer, _ moved: UnsafeMutablePointer<Int>?
    ) -> CInt {
        BIO_clear_flags(bio, retryFlags)
        switch try? Socket.receive(socket(bio), into: buffer) {
        case .moved(let count):
            moved?.pointee = count
            return 1
        case .wouldBlock:
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return 0
        case .ended, nil: return 0
        }
    }
}
