internal import Glibc

/// The result of a read from a datagram socket.
package enum Datagram: Equatable, Sendable {
    /// No datagram waits.
    case nothing
    /// The other end is closed, or sent a datagram of no bytes.
    case ended
    case received([UInt8])
}

// Sockets that keep message boundaries: one datagram is one record, whole or not at all (unix(7), SOCK_SEQPACKET).
extension Socket {
    /// Two such sockets, connected.
    package static func datagramPair() throws(LinuxError) -> DescriptorPair {
        try Descriptor.socketPair(kind: CInt(SOCK_SEQPACKET.rawValue))
    }

    /// Sends one datagram without SIGPIPE; returns whether it was sent. Without `waits` a datagram that does not fit
    /// now is not sent.
    package static func sendDatagram(_ socket: CInt, _ bytes: [UInt8], waits: Bool) throws(LinuxError) -> Bool {
        let flags = CInt(MSG_NOSIGNAL) | (waits ? 0 : CInt(MSG_DONTWAIT))
        while Glibc.send(socket, bytes, bytes.count, flags) < 0 {
            if errno == EINTR { continue }
            if errno == EAGAIN, !waits { return false }
            throw LinuxError.last("send a datagram")
        }
        return true
    }

    /// Takes one datagram without waiting; a datagram longer than `max` is truncated to `max` + 1 bytes.
    package static func receiveDatagram(_ socket: CInt, max: Int) throws(LinuxError) -> Datagram {
        var count = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: max + 1) { buffer, initialized throws(LinuxError) in
            repeat {
                count = recv(socket, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT))
            } while count < 0 && errno == EINTR
            if count < 0, errno != EAGAIN { throw LinuxError.last("receive a datagram") }
            initialized = Swift.max(0, count)
        }
        return count > 0 ? .received(bytes) : count == 0 ? .ended : .nothing
    }
}
