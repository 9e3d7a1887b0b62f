extension SeccompPolicy.Condition {
    package init(_ index: UInt32, _ operation: SeccompPolicy.Operation, _ value: UInt64, _ valueTwo: UInt64 = 0) {
        self.init(index: index, operation: operation, value: value, valueTwo: valueTwo)
    }

    /// Whether it is true of this value of its argument.
    package func holds(for argument: UInt64) -> Bool {
        switch operation {
        case .notEqual: argument != value
        case .lessThan: argument < value
        case .lessOrEqual: argument <= value
        case .equal: argument == value
        case .greaterOrEqual: argument >= value
        case .greaterThan: argument > value
        case .maskedEqual: argument & value == valueTwo
        }
    }

    /// Whether no value makes both true. Exact, for two conditions on the same argument.
    package func excludes(_ other: SeccompPolicy.Condition) -> Bool {
        guard index == other.index else { return false }
        switch (form, other.form) {
        case (.nothing, _), (_, .nothing): return true
        case (.range(let left), .range(let right)): return !left.overlaps(right)
        case (.allBut(let value), let form), (let form, .allBut(let value)):
            switch form {
            case .range(let range): return range == value...value
            case .bits(let bits): return bits.mask == .max && bits.rest == value
            case .allBut, .nothing: return false
            }
        case (.bits(let bits), .range(let range)), (.range(let range), .bits(let bits)):
            guard let first = bits.first(from: range.lowerBound) else { return true }
            return first > range.upperBound
        case (.bits(let left), .bits(let right)): return (left.rest ^ right.rest) & left.mask & right.mask != 0
        }
    }

    /// The values for which it is true.
    private enum Form {
        case nothing
        case range(ClosedRange<UInt64>)
        case allBut(UInt64)
        case bits(MaskedBits)
    }

    private var form: Form {
        switch operation {
        case .notEqual: .allBut(value)
        case .lessThan: value == 0 ? .nothing : .range(0...(value - 1))
        case .lessOrEqual: .range(0...value)
        case .equal: .range(value...value)
        case .greaterOrEqual: .range(value...UInt64.max)
        case .greaterThan: value == .max ? .nothing : .range((value + 1)...UInt64.max)
        case .maskedEqual: valueTwo & ~value == 0 ? .bits(MaskedBits(mask: value, rest: valueTwo)) : .nothing
        }
    }
}

/// The numbers of which some bits are given.
private struct MaskedBits {
    let mask: UInt64
    /// The given bits, all within `mask`.
    let rest: UInt64

    /// The smallest such number that is not below `bound`: `bound` itself, or one that agrees with it above some bit,
    /// has that bit where `bound` has none, and below it only the bits that must be.
    func first(from bound: UInt64) -> UInt64? {
        if bound & mask == rest { return bound }
        for bit in 0..<64 as Range<UInt64> where bound & (1 << bit) == 0 {
            let above = bit == 63 ? 0 : UInt64.max << (bit + 1)
            let candidate = (bound & above) | (1 << bit) | (rest & ~above)
            if candidate & mask == rest { return candidate }
        }
        return nil
    }
}

extension SeccompPolicy.Rule {
    /// Whether all its conditions are true of these arguments; those that are missing are 0.
    package func holds(for arguments: [UInt64]) -> Bool {
        conditions.allSatisfy { condition in
            let index = Int(condition.index)
            return condition.holds(for: index < arguments.count ? arguments[index] : 0)
        }
    }

    /// Whether no call meets both these conditions and those.
    package func excludes(_ others: [SeccompPolicy.Condition]) -> Bool {
        conditions.contains { condition in others.contains(where: condition.excludes) }
    }
}
