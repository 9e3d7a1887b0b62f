internal import COpenSSL
internal import LinuxSystem

/// A BIO by which OpenSSL uses `Socket.send` and `Socket.receive` (BIO_meth_new(3)): OpenSSL's own BIO writes without
/// MSG_NOSIGNAL, so that a peer that is gone would kill the process.
enum SocketBIO {
    /// The state of a session's BIO; the session owns it, and keeps it as long as its `SSL`.
    struct State {
        let socket: CInt
        /// The reads left before the BIO says that the socket has nothing more. OpenSSL goes on reading until
        /// application data come, which a peer can delay for ever.
        var readsLeft = 0
    }

    /// Two reads are enough for a record, of which a part may have been read before.
    static let readsPerCallMax = 2

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

    /// The socket and the state stay the caller's. The result belongs to the `SSL` it is given to.
    static func make(_ state: UnsafeMutablePointer<State>) -> OpaquePointer? {
        guard let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, state)
        BIO_set_init(bio, 1)
        return bio
    }

    private static func state(_ bio: OpaquePointer?) -> UnsafeMutablePointer<State> {
        BIO_get_data(bio).assumingMemoryBound(to: State.self)
    }

    private static func write(
        _ bio: OpaquePointer?, _ bytes: UnsafeRawBufferPointer, _ written: UnsafeMutablePointer<Int>?
    ) -> CInt {
        BIO_clear_flags(bio, retryFlags)
        switch try? Socket.send(state(bio).pointee.socket, bytes) {
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
        let state = state(bio)
        guard state.pointee.readsLeft > 0 else {
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return 0
        }
        state.pointee.readsLeft -= 1
        switch try? Socket.receive(state.pointee.socket, into: buffer) {
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
