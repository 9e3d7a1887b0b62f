/// Notices that the machine has slept: the clock that goes on then has run ahead of the one that does not. Pure.
package struct SleepWatch: Sendable {
    /// Less is no sleep, but the time between the readings of the two clocks.
    private static let leastNanoseconds: UInt64 = 1_000_000_000

    /// By how much `Monotonic.now` was ahead of `Monotonic.awake`.
    private var aheadNanoseconds: UInt64

    package init(now: Monotonic = .now(), awake: Monotonic = .awake()) { aheadNanoseconds = now.since(awake) }

    /// How long the machine has slept since the last look that found a sleep, in nanoseconds; nil: it did not.
    package mutating func look(now: Monotonic = .now(), awake: Monotonic = .awake()) -> UInt64? {
        let ahead = now.since(awake)
        guard ahead >= aheadNanoseconds &+ Self.leastNanoseconds else { return nil }
        defer { aheadNanoseconds = ahead }
        return ahead - aheadNanoseconds
    }
}
