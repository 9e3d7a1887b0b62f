internal import EventLoop
internal import Glibc
internal import LinuxSystem

/// A listening socket that hands over what it accepts.
///
/// Used on the loop; listens from `start` to `close`, and its descriptor closes with it.
@IOLoop
final class Listener: ReadinessHandler {
    let address: SocketAddress
    private let limits: Limits
    private let accepted: @IOLoop (consuming Descriptor, SocketAddress) -> Void
    private let socket: Descriptor
    private var watch: Watch?
    /// Of a Unix socket's path: whoever succeeds this listener has put another one there.
    private var stamp: FileStamp?

    init(
        on address: SocketAddress, succeeding: Bool, limits: Limits,
        accepted: @escaping @IOLoop (consuming Descriptor, SocketAddress) -> Void
    ) throws(LinuxError) {
        let listening = try Socket.listen(on: address, succeeding: succeeding)
        self.address = listening.address
        self.limits = limits
        self.accepted = accepted
        socket = listening.take { descriptor, _ in descriptor }
        watch = try IOLoop.watch(socket, .readable, handler: self)
        if case .unix(let path) = address { stamp = FileStamp(path: path) }
        if succeeding { Socket.preferNewer(socket) }
    }

    func close() {
        watch?.unwatch()
        watch = nil
        if case .unix(let path) = address, FileStamp(path: path) == stamp { unlink(path) }
    }

    func ready(_ readiness: Readiness) {
        for _ in 0..<limits.acceptsPerTurnMax {
            guard watch != nil else { return }
            do throws(LinuxError) {
                guard let socket = try Socket.accept(socket) else { return }
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
