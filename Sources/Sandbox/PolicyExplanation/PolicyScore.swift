package import SandboxPolicy

/// How much of the kernel and of the machine a policy leaves to a hostile program, from 0.0 (nothing) to 10.0
/// (everything), in the manner of systemd-analyze's "security".
///
/// Each group of system calls that the policy lets pass adds a chance, `SyscallGroup.risk`, that such a program gets
/// further than it should; half of it if the policy lets the calls pass only under conditions. The score is ten times
/// the chance that one of the groups fails, as if they were independent. It is a judgement to compare policies by, and
/// ignores the other layers of the sandbox, which hold under any policy.
package struct PolicyScore: Equatable, Sendable {
    package let value: Double

    package init(_ policy: EffectivePolicy) {
        let nothingHappens = SyscallGroup.all.reduce(1.0) { chance, group in
            let share =
                switch group.reach(in: policy) {
                case .never: 0.0
                case .sometimes: 0.5
                case .always: 1.0
                }
            return chance * (1 - share * Double(group.risk) / 1000)
        }
        value = 10 * (1 - nothingHappens)
    }

    /// With one decimal, such as "0.4".
    package var text: String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    package var word: String {
        switch value {
        case ..<1: "minimal"
        case ..<3: "low"
        case ..<6: "medium"
        case ..<9: "high"
        default: "wide open"
        }
    }
}
