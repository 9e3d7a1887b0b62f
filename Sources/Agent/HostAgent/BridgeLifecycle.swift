internal import LinuxSystem

/// Decides when the HTTP bridge is started. A value: its owner does what it returns.
///
/// A bridge that ends is started again at once; one that ends soon after its start, or cannot be started, after a pause that
/// doubles each time, from 100 ms to 30 s.
struct BridgeLifecycle {
    enum Phase: Equatable {
        case stopped
        /// Its start was asked for.
        case starting
        case running(since: Monotonic)
        /// It is started when the pause is over.
        case pausing
        /// Its end was asked for.
        case ending

        /// As the owner is shown it.
        var name: String {
            switch self {
            case .stopped: "stopped"
            case .starting: "starting"
            case .running: "running"
            case .pausing: "pausing"
            case .ending: "ending"
            }
        }
    }

    enum Action: Equatable {
        case launch
        /// `pauseEnded` is due after so long.
        case pause(milliseconds: UInt64)
        case kill
    }

    private(set) var phase = Phase.stopped
    /// How often it was started again.
    private(set) var restarts: UInt32 = 0
    private var shortLives = 0
    private var isRetired = false

    /// Whether it is started again when it ends.
    var isKept: Bool { !isRetired && phase != .ending && phase != .stopped }

    private static let pauseMillisecondsMin: UInt64 = 100
    private static let doublingsMax = 9
    private static let pauseMillisecondsMax: UInt64 = 30_000
    /// A bridge that has lived for so long was no failure of its start.
    private static let longMilliseconds: UInt64 = 500

    mutating func start() -> Action? {
        guard phase == .stopped else { return nil }
        phase = .starting
        return .launch
    }

    /// The process was launched.
    mutating func launched(at now: Monotonic) -> Action? {
        guard phase == .starting else { return .kill }
        phase = .running(since: now)
        return nil
    }

    /// The process has ended, or could not be launched.
    mutating func ended(at now: Monotonic) -> Action? {
        switch phase {
        case .running(let since) where now.since(since) / 1_000_000 >= Self.longMilliseconds: shortLives = 0
        case .running, .starting: shortLives += 1
        case .ending:
            phase = .stopped
            return nil
        case .stopped, .pausing: return nil
        }
        guard !isRetired else {
            phase = .stopped
            return nil
        }
        phase = .pausing
        guard shortLives > 0 else { return .pause(milliseconds: 0) }
        let doubled = Self.pauseMillisecondsMin << UInt64(min(shortLives - 1, Self.doublingsMax))
        return .pause(milliseconds: min(doubled, Self.pauseMillisecondsMax))
    }

    mutating func pauseEnded() -> Action? {
        guard phase == .pausing else { return nil }
        guard !isRetired else {
            phase = .stopped
            return nil
        }
        phase = .starting
        restarts += 1
        return .launch
    }

    /// It may go on, and is not started again.
    mutating func retire() { isRetired = true }

    /// It ends, and is not started again.
    mutating func stop() -> Action? {
        switch phase {
        case .running:
            phase = .ending
            return .kill
        case .starting, .pausing, .stopped, .ending:
            phase = .stopped
            return nil
        }
    }
}
