/// When and for how long a command tries to go on with an answer whose connection was lost. Pure.
package struct AnswerResumption {
    /// How long a host is asked to keep an answer for a command that is away, in seconds.
    package static let seconds: Int64 = 60

    private static let shortest = Duration.milliseconds(100)
    private static let longest = Duration.seconds(5)

    private var lostAt: ContinuousClock.Instant?
    private var pause = Self.shortest
    /// Whether the last call ended although its connection held, and the next one is to show whether that was the answer's
    /// own end.
    private var isTried = false

    package init() {}

    /// A call has ended before the answer has. Returns whether to go on with it by another one. `isLoss`: its status may be
    /// that of a lost connection. `isOpen`: the connection is open still.
    package mutating func mayHelp(isLoss: Bool, isOpen: Bool, at now: ContinuousClock.Instant) -> Bool {
        guard isLoss, !(isOpen && isTried) else { return false }
        if lostAt == nil { lostAt = now }
        isTried = isOpen
        return true
    }

    /// A piece of the answer has come.
    package mutating func progressed() { self = AnswerResumption() }

    /// The time until the next attempt to connect; nil: the host keeps the answer no longer. An agent of this machine that
    /// cannot be reached has ended, and the answer with it.
    package mutating func pause(isLocal: Bool, at now: ContinuousClock.Instant) -> Duration? {
        guard !isLocal, let lostAt, now - lostAt < .seconds(Self.seconds) else { return nil }
        defer { pause = min(pause * 2, Self.longest) }
        return pause
    }
}
