package import SeccompFilter
internal import StrictJSON

/// The meaning of a policy on this machine, call by call, which its filter must have.
///
/// A call's first rule without conditions decides alone, whatever stands before or after it. If it has none, the rule
/// whose conditions hold decides, and if none holds, the default. A rule with the action of the default counts as no
/// rule. So far this is libseccomp's own order. Rules whose conditions overlap must have the same action: the effect of
/// contradictions depends on how libseccomp sorts them. Calls that are newer than libseccomp get ENOSYS; a call of
/// another architecture kills the process.
package struct EffectivePolicy: Sendable {
    package let policy: SeccompPolicy
    /// The parts of the policy that have no effect, or not the effect that they seem to have.
    package private(set) var remarks: [PolicyRemark] = []
    private var calls: [UInt32: Call] = [:]

    /// The rules of one call.
    struct Call: Sendable {
        /// The rule without conditions.
        var plain: SeccompPolicy.Rule?
        /// The rules with conditions, used where there is no plain one.
        var conditional: [SeccompPolicy.Rule] = []
    }

    /// The calls that replace a process's program. No policy allows them: the launcher makes one of them, once, and
    /// executes what was hashed.
    package static let executions: Set<String> = ["execve", "execveat"]

    /// The policy as it holds for a backend; with `asWritten` including the rules for `executions`. Throws if rules
    /// contradict each other.
    package init(_ policy: SeccompPolicy, asWritten: Bool = false) throws(SandboxPolicyError) {
        self.policy = policy
        for rule in policy.rules {
            for name in rule.names {
                if !asWritten, EffectivePolicy.executions.contains(name) {
                    if rule.action.letsPass {
                        remark(
                            rule, "'\(name)' is not allowed all the same: a backend is executed once, by the launcher")
                    }
                } else if rule.action == policy.defaultAction {
                    remark(rule, "what it says of '\(name)' is the default already")
                } else if let number = SyscallNames.number(of: name), number <= SyscallNames.numberMax {
                    try add(rule, to: number, name)
                } else if NewerSyscalls.isKnown(name) {
                    remark(rule, "'\(name)' is newer than this machine's libseccomp and is answered with ENOSYS")
                }
                // Otherwise the call exists on other architectures only; profiles for all architectures name many such
                // calls.
            }
        }
    }

    private mutating func add(_ rule: SeccompPolicy.Rule, to number: UInt32, _ name: String) throws(SandboxPolicyError)
    {
        var call = calls[number] ?? Call()
        if let plain = call.plain {
            remark(rule, "'\(name)' is decided without conditions in line \(plain.line)")
        } else if rule.conditions.isEmpty {
            for shadowed in call.conditional {
                remark(shadowed, "'\(name)' is decided without conditions in line \(rule.line)")
            }
            call.plain = rule
        } else {
            for other in call.conditional {
                guard other.action == rule.action || other.excludes(rule.conditions) else {
                    throw SandboxPolicyError(
                        file: policy.file, line: rule.line,
                        "says otherwise of '\(name)' than line \(other.line) for calls that both mean; "
                            + "let their conditions exclude each other")
                }
                if other.action == rule.action, other.conditions == rule.conditions {
                    return remark(rule, "it says of '\(name)' what line \(other.line) says")
                }
            }
            call.conditional.append(rule)
        }
        calls[number] = call
    }

    private mutating func remark(_ rule: SeccompPolicy.Rule, _ text: String) {
        remarks.append(PolicyRemark(line: rule.line, text: text))
    }

    /// The rules that decide on a call: one without conditions, or all those with conditions.
    package func rules(of number: UInt32) -> [SeccompPolicy.Rule] {
        guard let call = calls[number] else { return [] }
        return call.plain.map { [$0] } ?? call.conditional
    }

    /// The action on a call.
    package func action(on call: SystemCall) -> SeccompPolicy.Action {
        if call.architecture != SystemCall.nativeArchitecture { return .killProcess }
        #if arch(x86_64)
            if call.number & SyscallNames.x32Bit != 0 { return .killProcess }
        #endif
        if call.number > SyscallNames.numberMax { return .errno(SyscallNames.unknownCallErrno) }
        return rules(of: call.number).first { $0.holds(for: call.arguments) }?.action ?? policy.defaultAction
    }

    /// Whether calls can pass.
    package enum Reach: Comparable, Sendable {
        case never
        /// With some values of the arguments, or with some of those that meet the conditions asked about.
        case sometimes
        case always
    }

    /// Whether a call passes, of those whose arguments meet `conditions`.
    package func reach(of number: UInt32, where conditions: [SeccompPolicy.Condition] = []) -> Reach {
        guard number <= SyscallNames.numberMax else { return .never }
        let rules = rules(of: number).filter { !$0.excludes(conditions) }
        guard rules.contains(where: { $0.action.letsPass }) else { return .never }
        // A rule holds for certain if each argument that it looks at is given as one value that meets its condition.
        let arguments = (0..<6 as Range<UInt32>).map { index in
            conditions.first { $0.index == index && $0.operation == .equal }?.value
        }
        let decided = rules.contains { rule in
            rule.action.letsPass
                && rule.conditions.allSatisfy { condition in
                    arguments[Int(condition.index)].map(condition.holds) == true || conditions.contains(condition)
                }
        }
        return decided ? .always : .sometimes
    }
}

/// Something about a policy that its author should know, though it can be used.
package struct PolicyRemark: Hashable, Sendable {
    /// The line in the policy's file, counted from 1.
    package let line: Int
    package let text: String
}

extension SeccompPolicy.Action {
    /// Whether the call is made; where the launcher decides, whether it may be.
    package var letsPass: Bool { self == .allow || self == .log || self == .notify }
}
