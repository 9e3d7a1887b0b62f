internal import NIOCore
internal import Synchronization

/// Places for connections. Where there is none, the connection that has been open for longest without a request ends; if all have
/// had one, who comes waits. One task takes them.
actor OpenConnections {
    private var free: Int
    private var waiter: CheckedContinuation<Void, Never>?
    nonisolated let silent = SilentConnections()

    init(max: Int) { free = max }

    func take(_ channel: any Channel) async {
        if free == 0 {
            // It gives its place back once it is closed.
            silent.popOldest()?.close(promise: nil)
            await withCheckedContinuation { waiter = $0 }
        }
        free -= 1
        silent.began(channel)
    }

    func giveBack() {
        free += 1
        waiter?.resume()
        waiter = nil
    }
}

/// The connections that had no request yet, at most as many as are open.
final class SilentConnections: Sendable {
    private struct State: ~Copyable {
        /// Oldest first.
        var silent: [any Channel] = []
        /// Those whose request came before they had their place.
        var hasted: Set<ObjectIdentifier> = []
    }

    private let state = Mutex(State())

    func began(_ channel: any Channel) {
        state.withLock { state in
            if state.hasted.remove(ObjectIdentifier(channel)) == nil { state.silent.append(channel) }
        }
    }

    /// Its first request has come. On its event loop, so before `ended`.
    func spoke(_ channel: any Channel) {
        state.withLock { state in
            if let index = state.silent.firstIndex(where: { $0 === channel }) {
                state.silent.remove(at: index)
            } else {
                state.hasted.insert(ObjectIdentifier(channel))
            }
        }
    }

    func ended(_ channel: any Channel) {
        state.withLock { state in
            state.silent.removeAll { $0 === channel }
            state.hasted.remove(ObjectIdentifier(channel))
        }
    }

    func popOldest() -> (any Channel)? {
        state.withLock { $0.silent.isEmpty ? nil : $0.silent.removeFirst() }
    }
}
