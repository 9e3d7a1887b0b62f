internal import COpenSSL

/// A BIO for a session whose bytes its owner carries (BIO_meth_new(3)): OpenSSL reads what the owner holds at the moment, and
/// what it writes waits for the owner.
enum CarriedBIO {
    /// The state of a session's BIO; the session owns it, and keeps it as long as its `SSL`.
    struct State {
        /// What has come and was not read yet; set only while its owner lends it.
        var incoming = UnsafeRawBufferPointer(start: nil, count: 0)
        var outgoing: [UInt8] = []
    }

    // Proof: made once, never changed or freed.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hearth carried")
        BIO_meth_set_write_ex(method) { bio, bytes, count, written in
            CarriedBIO.state(bio).pointee.outgoing += UnsafeRawBufferPointer(start: bytes, count: count)
            written?.pointee = count
            return 1
        }
        BIO_meth_set_read_ex(method) { bio, buffer, count, moved in
            CarriedBIO.read(bio, UnsafeMutableRawBufferPointer(start: buffer, count: count), moved)
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    /// The state stays the caller's. The result belongs to the `SSL` it is given to.
    static func make(_ state: UnsafeMutablePointer<State>) -> OpaquePointer? {
        guard let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, state)
        BIO_set_init(bio, 1)
        return bio
    }

    private static func state(_ bio: OpaquePointer?) -> UnsafeMutablePointer<State> {
        BIO_get_data(bio).assumingMemoryBound(to: State.self)
    }

    private static func read(
        _ bio: OpaquePointer?, _ buffer: UnsafeMutableRawBufferPointer, _ moved: UnsafeMutablePointer<Int>?
    ) -> CInt {
        BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        let incoming = state(bio).pointee.incoming
        guard !incoming.isEmpty else {
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return 0
        }
        let count = min(incoming.count, buffer.count)
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: incoming[..<count]))
        state(bio).pointee.incoming = UnsafeRawBufferPointer(rebasing: incoming[count...])
        moved?.pointee = count
        return 1
    }
}
