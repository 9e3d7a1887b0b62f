package import LinuxSystem

/// A token bucket: an amount at once, and a rate per second in the long run. It has another name because tokens are a
/// model's here. Pure.
package struct Allowance: Sendable {
    /// It counts in units of 10⁻⁹ of what it hands out, so that a short time fills it by a fraction.
    private static let unit = 1_000_000_000
    /// The largest amount that can be counted in units in 63 bits.
    private static let most = Int.max / unit

    private let capacity: Int
    private let perSecond: Int
    /// Below zero while there is a debt.
    private var level: Int
    private var filledAt = Monotonic(nanoseconds: 0)

    /// Starts full. `perSecond` nil: the same as `atOnce`.
    package init(atOnce: Int, perSecond: Int? = nil) {
        capacity = min(max(atOnce, 0), Allowance.most) * Allowance.unit
        self.perSecond = min(max(perSecond ?? atOnce, 0), Allowance.most)
        level = capacity
    }

    /// Takes one; false when there is not one left, and then takes nothing.
    package mutating func take(at now: Monotonic) -> Bool {
        fill(at: now)
        guard level >= Allowance.unit else { return false }
        level -= Allowance.unit
        return true
    }

    /// What is left, rounded down; 0 in debt.
    package mutating func left(at now: Monotonic) -> Int {
        fill(at: now)
        return max(level, 0) / Allowance.unit
    }

    /// Whether it is full.
    package mutating func isFull(at now: Monotonic) -> Bool {
        fill(at: now)
        return level >= capacity
    }

    /// Takes what has been used already. If that is more than was left, a debt remains, which is filled up first.
    package mutating func charge(_ count: Int, at now: Monotonic) {
        fill(at: now)
        let (product, overflow) = min(max(count, 0), Allowance.most).multipliedReportingOverflow(by: Allowance.unit)
        let (difference, underflow) = level.subtractingReportingOverflow(overflow ? .max : product)
        level = underflow ? .min : difference
    }

    /// The time until there is one; 0: there is one now. Nil: never.
    package mutating func millisecondsUntilOne(at now: Monotonic) -> UInt64? {
        fill(at: now)
        let (lacking, overflow) = Allowance.unit.subtractingReportingOverflow(level)
        guard lacking > 0 || overflow else { return 0 }
        guard perSecond > 0, capacity >= Allowance.unit else { return nil }
        let nanoseconds = (overflow ? .max : lacking) / perSecond + 1
        return UInt64(nanoseconds) / 1_000_000 + 1
    }

    private mutating func fill(at now: Monotonic) {
        let passed = now.since(filledAt)
        guard passed > 0 else { return }
        filledAt = now
        guard level < capacity else { return }
        let (gained, overflow) = Int(clamping: passed).multipliedReportingOverflow(by: perSecond)
        let (sum, tooMuch) = level.addingReportingOverflow(gained)
        level = overflow || tooMuch ? capacity : min(sum, capacity)
    }
}
