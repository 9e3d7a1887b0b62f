internal import EventLoop
internal import Glibc
internal import LinuxSystem

/// A bound socket that listens from `start` to `close`, and hands over the connections that it accepts.
///
/// Used on the loop; its descriptor closes with it.
@IOLoop
final class Listener: ReadinessHandler {
    let address: SocketAddress
    /// The address that was asked for, whose port may be 0.
    let asked: SocketAddress
    private let limits: Limits
    private let priority: LoopPriority
    private let accepted: @IOLoop (consuming Descriptor, SocketAddress) -> Void
    private let socket: BoundSocket
    private var watch: Watch?
    /// Identifies the Unix socket at the path: a successor of this listener puts its own socket there.
    private var stamp: FileFacts?
    /// Another process has the address too, and keeps it.
    private var isLeft = false

    init(
        on address: SocketAddress, inherited: consuming BoundSocket?, limits: Limits, priority: LoopPriority,
        accepted: @escaping @IOLoop (consuming Descriptor, SocketAddress) -> Void
    ) throws(LinuxError) {
        asked = address
        if let inherited { socket = inherited } else { socket = try Socket.bind(to: address) }
        self.address = socket.address
        self.limits = limits
        self.priority = priority
        self.accepted = accepted
        noteStamp()
    }

    /// Does nothing the second time.
    func start() throws(LinuxError) {
        guard watch == nil else { return }
        try Socket.listen(socket)
        watch = try IOLoop.watch(socket.descriptor, .readable, priority, handler: self)
        noteStamp()
    }

    func close() {
        watch?.unwatch()
        watch = nil
        if isLeft { return }
        if case .unix(let path) = address, let stamp, (try? FileFacts(following: path)) == stamp { unlink(path) }
    }

    /// The socket for another process, which accepts what connects once this one does no more.
    func share() throws(LinuxError) -> BoundSocket {
        BoundSocket(descriptor: try socket.descriptor.duplicate(), address: address)
    }

    /// Closes it here only.
    func leave() {
        isLeft = true
        close()
    }

    private func noteStamp() {
        if case .unix(let path) = address { stamp = try? FileFacts(following: path) }
    }

    func ready(_ readiness: Readiness) {
        for _ in 0..<limits.acceptsPerTurnMax {
            guard watch != nil else { return }
            do throws(LinuxError) {
                guard let socket = try Socket.accept(socket.descriptor) else { return }
                Socket.setNoDelay(socket)
                Socket.setLostPeerTimeout(socket, seconds: limits.lostPeerSeconds)
                let peer = Socket.peer(of: socket.raw, listener: address)
                accepted(socket, peer)
            } catch {
                pause()
                return
            }
        }
    }

    /// Descriptors or memory have run out (accept(2)): the waiting connection would wake the loop for ever.
    private func pause() {
        watch?.setInterest([])
        IOLoop.schedule(afterMilliseconds: limits.acceptPauseMilliseconds) { [weak self] in
            self?.watch?.setInterest(.readable)
        }
    }
}
