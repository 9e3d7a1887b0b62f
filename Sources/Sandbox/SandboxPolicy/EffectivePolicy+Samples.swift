package import SeccompFilter

extension EffectivePolicy {
    /// Calls on which a filter of this policy can be told from a wrong one: every call of this machine, numbers that no
    /// call has, and for calls whose arguments are checked values on both sides of every condition.
    package var samples: [SystemCall] {
        var samples: [SystemCall] = []
        for (number, _) in SyscallNames.all {
            samples.append(SystemCall(number))
            samples.append(SystemCall(number, Array(repeating: .max, count: 6)))
            samples += argumentSamples(of: number)
        }
        let named = Set(SyscallNames.all.map(\.number))
        samples += (0..<1100).filter { !named.contains($0) }.map { SystemCall($0) }
        #if arch(x86_64)
            samples += [0, 1, 59, 512, 520].map { SystemCall(SyscallNames.x32Bit | $0) }
        #endif
        samples += [0, 1, 3, 11, 120].map { SystemCall($0, architecture: EffectivePolicy.thirtyTwoBit) }
        return samples
    }

    #if arch(x86_64)
        /// AUDIT_ARCH_I386 of linux/audit.h.
        private static let thirtyTwoBit: UInt32 = 0x4000_0003
    #else
        /// AUDIT_ARCH_ARM.
        private static let thirtyTwoBit: UInt32 = 0x4000_0028
    #endif

    /// The first sample on which the filter differs from the policy; nil when it agrees on all.
    package func disagreement(with filter: FilterProgram) -> SystemCall? {
        samples.first { filter.verdict(on: $0) != action(on: $0).verdict }
    }

    /// Samples around every rule's own arguments, one argument changed at a time; and where two rules look at few
    /// arguments, all values of the one with all values of the other.
    private func argumentSamples(of number: UInt32) -> [SystemCall] {
        let rules = rules(of: number)
        var values: [UInt32: Set<UInt64>] = [:]
        for condition in rules.flatMap(\.conditions) {
            values[condition.index, default: [0]].formUnion(condition.edges)
        }
        guard !values.isEmpty else { return [] }
        var found: Set<[UInt64]> = []
        for rule in rules {
            var base = Array(repeating: UInt64(0), count: 6)
            for condition in rule.conditions {
                base[Int(condition.index)] = condition.edges.first(where: condition.holds) ?? 0
            }
            for (index, candidates) in values {
                for value in candidates {
                    var arguments = base
                    arguments[Int(index)] = value
                    found.insert(arguments)
                }
            }
        }
        if values.values.reduce(1, { $0 * $1.count }) <= EffectivePolicy.combinationsMax {
            var combinations = [Array(repeating: UInt64(0), count: 6)]
            for (index, candidates) in values {
                combinations = combinations.flatMap { arguments in
                    candidates.map { value in
                        var arguments = arguments
                        arguments[Int(index)] = value
                        return arguments
                    }
                }
            }
            found.formUnion(combinations)
        }
        return found.sorted { $0.lexicographicallyPrecedes($1) }.map { SystemCall(number, $0) }
    }

    private static let combinationsMax = 400
}

extension SeccompPolicy.Condition {
    /// Values on both sides of it, the true ones first; among them such that differ in the upper half only.
    fileprivate var edges: [UInt64] {
        var edges = [value, value &+ 1, value &- 1, value | 1 << 32, value ^ 1 << 63, 0, .max]
        if operation == .maskedEqual {
            edges += [valueTwo, valueTwo | ~value, valueTwo ^ value, valueTwo | value]
            edges += (0..<64).filter { value & (1 << $0) != 0 }.map { valueTwo ^ (1 << $0) }
        }
        var seen: Set<UInt64> = []
        let different = edges.filter { seen.insert($0).inserted }
        return different.filter(holds) + different.filter { !holds(for: $0) }
    }
}

extension SeccompPolicy.Action {
    /// The filter's verdict for the action.
    package var verdict: FilterProgram.Verdict {
        switch self {
        case .allow: .allow
        case .errno(let number): .errno(number)
        case .killProcess: .killProcess
        case .killThread: .killThread
        case .trap: .trap
        case .log: .log
        case .notify: .notify
        }
    }
}
