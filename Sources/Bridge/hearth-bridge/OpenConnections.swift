internal import NIOCore
internal import Synchronization

/// Places for connections. Where there is none, the connection that has been without a request for longest ends; if all
/// have one, who comes waits. One task takes them.
actor OpenConnections {
    private var free: Int
    private var waiter: CheckedContinuation<Void, Never>?
    nonisolated let idle = IdleConnections()

    init(max: Int) { free = max }

    func take(_ channel: any Channel) async {
        if free == 0 {
            // It gives its place back once it is closed.
            idle.popOldest()?.close(promise: nil)
            await withCheckedContinuation { waiter = $0 }
        }
        free -= 1
        idle.began(channel)
    }

    func giveBack() {
        free += 1
        waiter?.resume()
        waiter = nil
    }
}

/// The connections on which no whole request waits for its answer, whether they are new or had some; at most as many as
/// are open.
final class IdleConnections: Sendable {
    private struct State: ~Copyable {
        /// Those that are so for longest come first.
        var idle: [any Channel] = []
        /// Those whose request came before they had their place.
        var hasted: Set<ObjectIdentifier> = []
    }

    private let state = Mutex(State())

    func began(_ channel: any Channel) {
        state.withLock { state in
            if state.hasted.remove(ObjectIdentifier(channel)) == nil { state.idle.append(channel) }
        }
    }

    /// A request has come whole. On its event loop, so before `ended`.
    func isBusy(_ channel: any Channel) {
        state.withLock { state in
            if let index = state.idle.firstIndex(where: { $0 === channel }) {
                state.idle.remove(at: index)
            } else {
                state.hasted.insert(ObjectIdentifier(channel))
            }
        }
    }

    /// All that came whole is answered.
    func isIdle(_ channel: any Channel) {
        state.withLock { state in
            if state.hasted.remove(ObjectIdentifier(channel)) == nil { state.idle.append(channel) }
        }
    }

    func ended(_ channel: any Channel) {
        state.withLock { state in
            state.idle.removeAll { $0 === channel }
            state.hasted.remove(ObjectIdentifier(channel))
        }
    }

    func popOldest() -> (any Channel)? {
        state.withLock { $0.idle.isEmpty ? nil : $0.idle.removeFirst() }
    }
}
