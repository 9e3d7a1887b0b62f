internal import CSeccomp
internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SeccompFilter
internal import StrictJSON

extension SeccompPolicy {
    /// The launcher's own exec of the backend, execveat(6, "", …, AT_EMPTY_PATH), is decided by the launcher's
    /// supervisor, which lets it pass once.
    private static let execution = Rule(
        names: ["execveat"], action: .notify,
        conditions: [
            Condition(index: 0, operation: .equal, value: UInt64(GivenDescriptor.executable), valueTwo: 0),
            Condition(index: 4, operation: .equal, value: UInt64(GivenDescriptor.executionFlags), valueTwo: 0),
        ],
        comment: nil, line: 0)

    /// The filter for a launch, in the kernel's form, for this machine's architecture; a call of any other kills the
    /// process. The policy's rules for execve and execveat have no effect: exec passes once. Throws when libseccomp
    /// refuses a rule. Deterministic and free of side effects.
    package func compile() throws(SandboxPolicyError) -> [UInt8] {
        try compile(EffectivePolicy(self), adding: [("execveat", SeccompPolicy.execution)])
    }

    /// The filter of the policy exactly as written, for comparing and explaining; no backend is launched with it.
    package func compileAsWritten() throws(SandboxPolicyError) -> [UInt8] {
        try compile(EffectivePolicy(self, asWritten: true), adding: [])
    }

    private func compile(
        _ effective: EffectivePolicy, adding: [(name: String, rule: Rule)]
    ) throws(SandboxPolicyError) -> [UInt8] {
        let filter = try SeccompFilter(defaultAction: defaultAction.filterValue, file: file)
        try filter.configure(file: file)
        for (number, name) in SyscallNames.all {
            for rule in effective.rules(of: number) { try filter.add(rule, name: name, file: file) }
        }
        for (name, rule) in adding { try filter.add(rule, name: name, file: file) }
        return SeccompPolicy.unknownCalls(max: SyscallNames.numberMax) + (try filter.export(file: file))
    }

    /// Answers calls that are newer than libseccomp, which no policy could have named, with ENOSYS, so that C libraries
    /// fall back to older ones. This part stands before the filter proper, which checks the architecture (and x32's bit
    /// of the number) again.
    private static func unknownCalls(max: UInt32) -> [UInt8] {
        // struct sock_filter of linux/filter.h. The jumps count the instructions that are passed over.
        let program: [(code: UInt16, yes: UInt8, no: UInt8, value: UInt32)] = [
            (0x20, 0, 0, 4),  // load seccomp_data.arch
            (0x15, 0, 4, SyscallNames.nativeAuditArchitecture),  // another one: to the filter
            (0x20, 0, 0, 0),  // load seccomp_data.nr
            (0x35, 2, 0, SyscallNames.x32Bit),  // an x32 number: to the filter
            (0x25, 0, 1, max),  // a known number: to the filter
            (0x06, 0, 0, Action.errno(SyscallNames.unknownCallErrno).filterValue),  // ENOSYS
        ]
        return program.flatMap { instruction in
            withUnsafeBytes(of: instruction.code.littleEndian) { Array($0) } + [instruction.yes, instruction.no]
                + withUnsafeBytes(of: instruction.value.littleEndian) { Array($0) }
        }
    }
}

extension SeccompPolicy.Action {
    /// The return value of the filter (seccomp(2), "Filters").
    fileprivate var filterValue: UInt32 {
        switch self {
        case .allow: 0x7fff_0000
        case .errno(let number): 0x0005_0000 | UInt32(number)
        case .killProcess: 0x8000_0000
        case .killThread: 0
        case .trap: 0x0003_0000
        case .log: 0x7ffc_0000
        case .notify: 0x7fc0_0000
        }
    }
}

/// Owns a libseccomp filter under construction (seccomp_init(3)).
private struct SeccompFilter: ~Copyable {
    private let context: scmp_filter_ctx

    init(defaultAction: UInt32, file: String) throws(SandboxPolicyError) {
        guard let context = seccomp_init(defaultAction) else {
            throw SandboxPolicyError(file: file, "libseccomp cannot begin a filter with this default action")
        }
        self.context = context
    }

    func configure(file: String) throws(SandboxPolicyError) {
        // The binary tree (2) keeps the number of instructions for a call logarithmic.
        guard seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, 0x8000_0000) == 0,
            seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0
        else { throw SandboxPolicyError(file: file, "libseccomp is older than 2.5; install a newer one") }
    }

    deinit { seccomp_release(context) }

    func add(_ rule: SeccompPolicy.Rule, name: String, file: String) throws(SandboxPolicyError) {
        guard let number = SyscallNames.number(name), number >= 0 else {
            throw SandboxPolicyError(file: file, line: rule.line, "this machine has no system call '\(name)'")
        }
        let comparisons = rule.conditions.map(\.comparison)
        let result = seccomp_rule_add_array(
            context, rule.action.filterValue, number, UInt32(comparisons.count), comparisons)
        guard result == 0 else {
            throw SandboxPolicyError(
                file: file, line: rule.line, "cannot filter '\(name)': \(String(cString: strerror(-result)))")
        }
    }

    func export(file: String) throws(SandboxPolicyError) -> [UInt8] {
        do throws(LinuxError) {
            let memory = try Descriptor.memoryFile("filter")
            let result = seccomp_export_bpf(context, memory.raw)
            guard result == 0 else { throw LinuxError(code: -result, operation: "export the filter") }
            try checked("rewind the filter") { lseek(memory.raw, 0, SEEK_SET) }
            return try FileBytes.read(memory, max: FilterProgram.byteCountMax, name: "the filter")
        } catch {
            throw SandboxPolicyError(file: file, error.description, isTransient: error.isTransient)
        }
    }
}

extension SeccompPolicy.Condition {
    fileprivate var comparison: scmp_arg_cmp {
        let operation =
            switch operation {
            case .notEqual: SCMP_CMP_NE
            case .lessThan: SCMP_CMP_LT
            case .lessOrEqual: SCMP_CMP_LE
            case .equal: SCMP_CMP_EQ
            case .greaterOrEqual: SCMP_CMP_GE
            case .greaterThan: SCMP_CMP_GT
            case .maskedEqual: SCMP_CMP_MASKED_EQ
            }
        return scmp_arg_cmp(arg: index, op: operation, datum_a: value, datum_b: valueTwo)
    }
}
