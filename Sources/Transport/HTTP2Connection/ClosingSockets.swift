package import EventLoop
internal import LinuxSystem

/// The buffer for bytes that are dropped.
@IOLoop private let dropped = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

/// Sockets of closed connections, which are read for a while longer and then closed.
///
/// When a socket is closed while bytes of its peer are unread, or come later, the kernel resets the connection, and the
/// peer may never read why it was cut off (RFC 1122, section 4.2.2.13). So bytes that still come are dropped for a
/// while first. These sockets have a bound of their own, beyond which the oldest is closed; nothing waits for their
/// end. They are not watched but read at intervals, so that a peer that goes on sending makes no turn of the loop
/// longer. One for all connections of a server; on the loop.
@IOLoop
package final class ClosingSockets {
    private static let lookMilliseconds: UInt64 = 20
    /// The most reads of 64 KiB from one socket, and from all of them, each time.
    private static let readsMax = 16
    private static let allReadsMax = 128

    /// The oldest first.
    private var sockets: [ClosingSocket] = []
    /// The socket at which the next round of reads begins.
    private var next = 0
    private var isScheduled = false
    private let limits: HTTP2Limits

    package init(_ limits: HTTP2Limits) { self.limits = limits }

    /// Takes a socket on which nothing more is sent.
    func take(_ socket: consuming Descriptor) {
        guard limits.closingConnectionsMax > 0 else { return }
        let excess = sockets.count + 1 - limits.closingConnectionsMax
        if excess > 0 { sockets.removeFirst(min(excess, sockets.count)) }
        sockets.append(
            ClosingSocket(
                socket, ends: Monotonic.now().advanced(milliseconds: limits.closingMilliseconds),
                bytesMax: limits.closingBytesMax))
        schedule()
    }

    private func schedule() {
        guard !isScheduled, !sockets.isEmpty else { return }
        isScheduled = true
        // The timer keeps this object until the last socket has closed.
        IOLoop.schedule(afterMilliseconds: Self.lookMilliseconds) { self.look() }
    }

    private func look() {
        isScheduled = false
        let now = Monotonic.now()
        var reads = Self.allReadsMax
        var looked = 0
        while looked < sockets.count, reads > 0 {
            let socket = sockets[(next + looked) % sockets.count]
            looked += 1
            for _ in 0..<min(Self.readsMax, reads) {
                reads -= 1
                guard socket.discard() else { break }
            }
        }
        next = sockets.isEmpty ? 0 : (next + looked) % sockets.count
        sockets.removeAll { $0.isOver || $0.ends <= now }
        schedule()
    }
}

/// One such socket; it closes with its last reference.
@IOLoop
private final class ClosingSocket {
    let ends: Monotonic
    /// The peer has closed, or has sent more than is worth reading.
    private(set) var isOver = false
    private let socket: Descriptor
    private var bytesLeft: Int

    init(_ socket: consuming Descriptor, ends: Monotonic, bytesMax: Int) {
        self.socket = socket
        self.ends = ends
        bytesLeft = bytesMax
    }

    /// Reads once; false when there is nothing more to read now.
    func discard() -> Bool {
        switch try? Socket.discard(socket.raw, using: dropped) {
        case .moved(let count):
            bytesLeft -= count
            isOver = bytesLeft <= 0
            return !isOver
        case .wouldBlock:
            return false
        case .ended, nil:
            isOver = true
            return false
        }
    }
}
