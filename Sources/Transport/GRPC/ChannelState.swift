internal import LinuxSystem

/// Decides when a client connects, and what becomes of its calls meanwhile. A value: its owner (`Client`) does what it
/// returns.
///
/// A call connects, if there is no connection. After an attempt that failed nothing is tried for a while
/// (`ConnectionBackoff`), counted from the attempt's beginning; then the next call tries again, or one that waits. Without
/// calls nothing is tried.
struct ChannelState: Equatable {
    enum Phase: Equatable {
        /// There is no connection, and the next call makes one.
        case idle
        /// A connection is being made.
        case connecting(since: Monotonic)
        /// Calls begin on the connection.
        case open
        /// The last attempt failed; the next one is not made before this moment.
        case failed(until: Monotonic, reason: String)
        /// There will be no connection any more.
        case closed(reason: String)
    }

    /// What becomes of a call that begins.
    enum Verdict: Equatable {
        case send
        /// It waits until there is a connection, or an attempt fails.
        case wait
        case fail(reason: String)
    }

    enum Action: Equatable {
        /// A connection is to be made; `opened` or `failed` tells what came of it.
        case dial
        /// `pauseEnded` is due after so long.
        case pause(milliseconds: UInt64)
    }

    private(set) var phase: Phase
    private var backoff: ConnectionBackoff
    /// Whether `pauseEnded` is due.
    private var isPausing = false
    /// Whether it can make a connection: one whose socket was given to it has no other.
    private let canConnect: Bool

    init(_ backoff: ConnectionBackoff = ConnectionBackoff()) {
        self.backoff = backoff
        canConnect = true
        phase = .idle
    }

    /// For a socket that is connected already.
    init(connectedAt now: Monotonic) {
        backoff = ConnectionBackoff()
        canConnect = false
        phase = .connecting(since: now)
    }

    var isConnecting: Bool { if case .connecting = phase { true } else { false } }

    /// Why the last attempt failed, while no other was made.
    var reason: String? {
        switch phase {
        case .failed(_, let reason), .closed(let reason): reason
        case .idle, .connecting, .open: nil
        }
    }

    /// A call begins. `waits`: it waits for a connection while attempts fail.
    mutating func callCame(waits: Bool, at now: Monotonic) -> (verdict: Verdict, action: Action?) {
        switch phase {
        case .open: return (.send, nil)
        case .connecting: return (.wait, nil)
        case .closed(let reason): return (.fail(reason: reason), nil)
        case .failed(let until, let reason) where now < until:
            guard waits else { return (.fail(reason: reason), nil) }
            return (.wait, pause(until: until, at: now))
        case .idle, .failed:
            phase = .connecting(since: now)
            return (.wait, .dial)
        }
    }

    /// The connection carries calls. Returns false if none was to be made.
    mutating func opened() -> Bool {
        guard isConnecting else { return false }
        phase = .open
        backoff.reset()
        return true
    }

    /// No connection could be made. `hasWaiting`: a call waits for the next attempt.
    mutating func failed(_ reason: String, hasWaiting: Bool, chance: Double, at now: Monotonic) -> Action? {
        guard case .connecting(let since) = phase else { return nil }
        guard canConnect else {
            phase = .closed(reason: reason)
            return nil
        }
        let until = since.advanced(milliseconds: backoff.failed(chance: chance))
        phase = .failed(until: until, reason: reason)
        return hasWaiting ? pause(until: until, at: now) : nil
    }

    mutating func pauseEnded(hasWaiting: Bool, at now: Monotonic) -> Action? {
        isPausing = false
        guard hasWaiting, case .failed(let until, _) = phase else { return nil }
        guard now >= until else { return pause(until: until, at: now) }
        phase = .connecting(since: now)
        return .dial
    }

    /// The connection takes no new calls: the server has said so (GOAWAY), or it is lost.
    mutating func left(_ reason: String) {
        guard phase == .open else { return }
        phase = canConnect ? .idle : .closed(reason: reason)
    }

    mutating func close(_ reason: String) {
        if case .closed = phase { return }
        phase = .closed(reason: reason)
    }

    private mutating func pause(until: Monotonic, at now: Monotonic) -> Action? {
        guard !isPausing else { return nil }
        isPausing = true
        return .pause(milliseconds: until.since(now) / 1_000_000 + 1)
    }
}
