package import LaunchPlan
package import SandboxPolicy
package import SeccompFilter
internal import StrictJSON

/// Makes the smallest policy that a program needs from the calls that it made in a learning run. Pure.
package struct PolicyLearning: Sendable {
    /// Which calls a learning run lets pass.
    package enum Caution: Sendable {
        /// All calls except those that the base denies by name, which programs can do without.
        case asDenied
        /// All calls except those that the base answers with ENOSYS, which C libraries replace.
        case asUnimplemented
    }

    private static let notImplemented: UInt16 = 38

    /// The installed policies to compare with.
    private let installed: [SeccompPolicy]

    package init(installed: [SeccompPolicy]) { self.installed = installed }

    /// A policy under which every call is reported: calls that pass are logged, calls that `base` denies by name get
    /// its errno.
    package static func telling(base: SeccompPolicy, _ caution: Caution) -> SeccompPolicy {
        let denials = base.rules.filter { rule in
            guard case .errno(let number) = rule.action else { return false }
            return caution == .asDenied || number == notImplemented
        }
        return SeccompPolicy(
            name: "learning", file: base.file, defaultAction: .log, architectures: base.architectures, rules: denials)
    }

    /// The arguments that tell kinds of calls apart in a learning run: the same as for denied calls, and for mmap the
    /// flags as well as the protection, because policies decide on both.
    package static var tellingArguments: [TellingArguments] {
        LaunchPlanner.tellingArguments.map { telling in
            telling.call == SyscallNames.number(of: "mmap")
                ? TellingArguments(call: telling.call, mask: 0b1100) : telling
        }
    }

    /// One installed policy compared with the calls that were made.
    package struct Comparison: Sendable {
        package let policy: SeccompPolicy
        /// How much the policy exposes.
        package let score: Double
        /// Calls that were made and that it would deny, one of each kind; only runs without some of them show whether
        /// the program needs them all.
        package let missing: [SystemCall]
        /// Calls that it allows and that were not made.
        package let unused: [String]
        fileprivate let seen: [SystemCall]
        fileprivate let name: String

        /// The policy reduced to the calls that were made, with these of the missing calls added.
        package func smallest(with missing: [SystemCall]) -> SeccompPolicy {
            PolicyLearning.smallest(of: policy, needed: seen, missing: missing, name: name)
        }
    }

    /// Whether a call executes another program, which no policy can allow.
    package static func isExecution(_ call: SystemCall) -> Bool {
        EffectivePolicy.executions.contains(SyscallNames.name(of: call.number) ?? "")
    }

    /// The installed policies held against the calls, the least exposing first.
    /// - Parameter calls: one of each kind that was let pass.
    /// Throws when no policy is installed, or one contradicts itself.
    package func comparisons(with calls: [SystemCall], name: String) throws(SandboxPolicyError) -> [Comparison] {
        guard !installed.isEmpty else { throw SandboxPolicyError(file: "", "no policy is installed to compare with") }
        let seen = calls.filter { !PolicyLearning.isExecution($0) }
        let names = seen.compactMap { SyscallNames.name(of: $0.number) }
        var comparisons: [Comparison] = []
        for policy in installed {
            let effective = try EffectivePolicy(policy)
            comparisons.append(
                Comparison(
                    policy: policy, score: PolicyScore(effective).value,
                    missing: seen.filter { !effective.action(on: $0).letsPass },
                    unused: PolicyLearning.allowed(by: policy).subtracting(names).sorted(), seen: seen, name: name))
        }
        return comparisons.sorted { ($0.score, $0.unused.count) < ($1.score, $1.unused.count) }
    }

    private static func allowed(by policy: SeccompPolicy) -> Set<String> {
        Set(policy.rules.filter { $0.action.letsPass }.flatMap(\.names))
    }

    /// The nearest policy without the calls that were not made, and with those that it lacks.
    fileprivate static func smallest(
        of nearest: SeccompPolicy, needed: [SystemCall], missing: [SystemCall], name: String
    ) -> SeccompPolicy {
        var rules = nearest.rules.compactMap { rule -> SeccompPolicy.Rule? in
            guard rule.action.letsPass else { return rule }
            let names = rule.names.filter { name in
                needed.contains { call in
                    SyscallNames.name(of: call.number) == name && rule.holds(for: call.arguments)
                }
            }
            return names.isEmpty ? nil : rule.with(names: names)
        }
        var plain: [String] = []
        for call in missing {
            guard let callName = SyscallNames.name(of: call.number) else { continue }
            // An explicit denial in the nearest policy would contradict the added rule.
            rules = rules.compactMap { rule in
                guard !rule.action.letsPass, rule.names.contains(callName) else { return rule }
                let others = rule.names.filter { $0 != callName }
                return others.isEmpty ? nil : rule.with(names: others)
            }
            if let index = ArgumentClass.index(ofCall: call.number), index < call.arguments.count {
                let words = ArgumentClass.words(call: call.number, value: call.arguments[index]) ?? ""
                rules.append(
                    SeccompPolicy.Rule(
                        names: [callName], action: .allow,
                        conditions: [
                            SeccompPolicy.Condition(UInt32(index), .equal, call.arguments[index])
                        ],
                        comment: "\(name) was seen to need it: \(words).", line: 0))
            } else if !plain.contains(callName) {
                plain.append(callName)
            }
        }
        if !plain.isEmpty {
            rules.append(
                SeccompPolicy.Rule(
                    names: plain.sorted(), action: .allow, conditions: [], comment: "\(name) was seen to need them.",
                    line: 0))
        }
        return SeccompPolicy(
            name: name, file: "\(name).json", defaultAction: nearest.defaultAction,
            architectures: nearest.architectures, rules: rules)
    }
}

extension SeccompPolicy.Rule {
    fileprivate func with(names: [String]) -> SeccompPolicy.Rule {
        SeccompPolicy.Rule(names: names, action: action, conditions: conditions, comment: comment, line: line)
    }
}
