package import SandboxPolicy
package import SeccompFilter

/// System calls for one purpose: what they let a program do, what that exposes, and its weight in `PolicyScore`. Every
/// system call is in one group, or in several that its arguments tell apart.
package struct SyscallGroup: Sendable {
    package let name: String
    /// The purpose of the calls, to follow "can" or "cannot".
    package let purpose: String
    /// What a hostile program could do with them.
    package let exposure: String
    /// The chance, in thousandths, that such a program gets further than it should, if it may make them freely. A
    /// judgement, not a measurement.
    package let risk: Int
    /// Calls that belong here whatever their arguments are.
    package let calls: Set<String>
    /// Calls of which only some belong here.
    package let cases: [Case]

    /// Calls of one name with certain arguments.
    package struct Case: Sendable {
        package let call: String
        /// The conditions on their arguments.
        let conditions: [SeccompPolicy.Condition]
        /// An argument that must have none of these values.
        let except: (index: UInt32, values: Set<UInt64>)?

        init(_ call: String, _ conditions: [SeccompPolicy.Condition]) {
            self.call = call
            self.conditions = conditions
            except = nil
        }

        init(_ call: String, except index: UInt32, _ values: Set<UInt64>) {
            self.call = call
            conditions = []
            except = (index, values)
        }

        func holds(for arguments: [UInt64]) -> Bool {
            func argument(_ index: UInt32) -> UInt64 { Int(index) < arguments.count ? arguments[Int(index)] : 0 }
            if let except, except.values.contains(argument(except.index)) { return false }
            return conditions.allSatisfy { $0.holds(for: argument($0.index)) }
        }
    }

    /// Whether a policy lets any call of the group pass, and whether without conditions.
    package func reach(in policy: EffectivePolicy) -> EffectivePolicy.Reach {
        let plain = calls.compactMap { SyscallNames.number(of: $0) }.map { policy.reach(of: $0) }
        return (plain + cases.map { $0.reach(in: policy) }).max() ?? .never
    }

    /// The group that a call belongs to; nil for a call that is newer than this program.
    package static func of(_ call: SystemCall) -> SyscallGroup? {
        guard let name = SyscallNames.name(of: call.number) else { return nil }
        return all.first { group in
            group.calls.contains(name) || group.cases.contains { $0.call == name && $0.holds(for: call.arguments) }
        }
    }
}

/// What a system call means, in words for the machine's owner.
package struct SyscallMeaning: Equatable, Sendable {
    /// The name of the call's group.
    package let group: String
    /// The call's purpose, and what allowing it would expose.
    package let phrase: String

    package init(_ call: SystemCall) {
        guard let found = SyscallGroup.of(call) else {
            group = "unknown"
            phrase = "a call that is newer than this version of hearth; programs go on without it"
            return
        }
        group = found.name
        phrase = "it serves to \(found.purpose); allowing it exposes \(found.exposure)"
    }
}

extension SyscallGroup {
    /// The calls of the group that a policy lets pass under conditions: "openat: flags O_RDONLY without O_CREAT".
    package func conditions(in policy: EffectivePolicy) -> [String] {
        var said: [String] = []
        let names = calls.union(cases.map(\.call)).sorted()
        for name in names {
            guard let number = SyscallNames.number(of: name) else { continue }
            for rule in policy.rules(of: number) where rule.action.letsPass && !rule.conditions.isEmpty {
                let belongs = calls.contains(name) || cases.contains { $0.call == name && $0.mayMean(rule) }
                if belongs { said.append("\(name): \(rule.conditionWords(call: number))") }
            }
        }
        return said
    }
}

extension SyscallGroup.Case {
    /// Whether a rule can let calls of this case pass.
    fileprivate func mayMean(_ rule: SeccompPolicy.Rule) -> Bool {
        guard let except else { return !rule.excludes(conditions) }
        let asked = rule.conditions.first { $0.index == except.index }
        return asked?.operation != .equal || !except.values.contains(asked?.value ?? 0)
    }

    /// Whether a policy lets calls of this case pass.
    func reach(in policy: EffectivePolicy) -> EffectivePolicy.Reach {
        guard let number = SyscallNames.number(of: call) else { return .never }
        guard except != nil else { return policy.reach(of: number, where: conditions) }
        // A rule that lets only the exceptions pass does not count.
        let isMeant = policy.rules(of: number).contains { $0.action.letsPass && mayMean($0) }
        return isMeant ? policy.reach(of: number) : .never
    }
}
