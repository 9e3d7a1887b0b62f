/// A budget of tokens in any minute: a token that was taken counts against the limit for sixty whole seconds. Pure; the
/// caller passes the time, in seconds of a clock that does not go back.
package struct TokenBudget: Sendable, Equatable {
    package var perMinute: UInt32
    /// The tokens taken in each of the last seconds, indexed by the second modulo the number of slots: one more than a
    /// minute has, because the first second may have been nearly over.
    private var taken = [UInt64](repeating: 0, count: TokenBudget.slotCount)
    private var newest: UInt64 = 0
    private var total: UInt64 = 0

    private static let slotCount = 61

    package init(perMinute: UInt32) { self.perMinute = perMinute }

    /// Takes as many of these as are left; returns how many.
    package mutating func take(upTo wanted: UInt32, at second: UInt64) -> UInt32 {
        let count = min(wanted, available(at: second))
        charge(UInt64(count), at: second)
        return count
    }

    package mutating func available(at second: UInt64) -> UInt32 {
        advance(to: second)
        return total >= UInt64(perMinute) ? 0 : perMinute - UInt32(clamping: total)
    }

    /// Whether no token counts any more.
    package mutating func isUnused(at second: UInt64) -> Bool {
        advance(to: second)
        return total == 0
    }

    /// Counts tokens that were computed, even beyond the limit; later ones then wait.
    package mutating func charge(_ count: UInt64, at second: UInt64) {
        advance(to: second)
        add(count, of: newest)
    }

    private mutating func add(_ count: UInt64, of second: UInt64) {
        // Clamped far above every limit, where a larger count makes no difference.
        let counted = min(count, UInt64(UInt32.max))
        taken[Self.slot(of: second)] += counted
        total += counted
    }

    private static func slot(of second: UInt64) -> Int { Int(second % UInt64(slotCount)) }

    /// The tokens that count, of this second and of each one before it.
    package mutating func used(at second: UInt64) -> [UInt64] {
        advance(to: second)
        let counts = (0...min(newest, UInt64(Self.slotCount - 1))).map { taken[Self.slot(of: newest - $0)] }
        return Array(counts[..<(counts.lastIndex { $0 > 0 }.map { $0 + 1 } ?? 0)])
    }

    /// Counts tokens that another budget for the same minute says were `used` up to the second `last`, which is not after
    /// `second`.
    package mutating func add(used counts: [UInt64], upTo last: UInt64, at second: UInt64) {
        advance(to: second)
        guard last <= newest else { return }
        for (age, count) in counts.enumerated() {
            let age = newest - last + UInt64(age)
            guard age < UInt64(Self.slotCount), age <= newest else { return }
            add(count, of: newest - age)
        }
    }

    /// Gives back tokens that were taken and not used, the latest first.
    package mutating func giveBack(_ count: UInt32, at second: UInt64) {
        advance(to: second)
        var left = min(UInt64(count), total)
        for age in 0..<UInt64(Self.slotCount) where left > 0 && age <= newest {
            let slot = Self.slot(of: newest - age)
            let returned = min(left, taken[slot])
            taken[slot] -= returned
            total -= returned
            left -= returned
        }
    }

    /// Seconds until at least one token is left; 0: now.
    package mutating func secondsUntilAvailable(at second: UInt64) -> UInt64 {
        guard available(at: second) == 0 else { return 0 }
        var remaining = total
        for age in (0..<UInt64(Self.slotCount)).reversed() where age <= newest {
            remaining -= taken[Self.slot(of: newest - age)]
            if remaining < UInt64(perMinute) { return UInt64(Self.slotCount) - age }
        }
        return UInt64(Self.slotCount)
    }

    private mutating func advance(to second: UInt64) {
        guard second > newest else { return }
        for step in 1...min(second - newest, UInt64(Self.slotCount)) {
            let slot = Self.slot(of: newest + step)
            total -= taken[slot]
            taken[slot] = 0
        }
        newest = second
    }
}
