/// How long the turns of a model held their sequences lately. Pure.
struct TurnPace {
    /// A mean in which each turn counts an eighth, and those before it the rest; nil before the first.
    private(set) var meanMicroseconds: UInt64?

    mutating func note(microseconds: UInt64) {
        meanMicroseconds = meanMicroseconds.map { $0 - $0 / 8 + microseconds / 8 } ?? microseconds
    }

    /// The time in which so many turns end, of so many that run; nil: it is not known.
    func milliseconds(untilEnded count: Int, running: Int) -> UInt64? {
        meanMicroseconds.map { $0 / 1_000 * UInt64(max(count, 0)) / UInt64(max(running, 1)) }
    }
}
