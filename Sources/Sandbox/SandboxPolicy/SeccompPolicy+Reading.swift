internal import StrictJSON

/// The keys are those of the OCI runtime-spec (config-linux, "Seccomp") and of the two profiles that container engines
/// ship, Docker's default.json and the seccomp.json of containers-common. Every other key is refused.
extension SeccompPolicy {
    private static let keys = [
        "defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "listenerPath",
        "listenerMetadata", "syscalls",
    ]
    private static let ruleKeys = [
        "names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes",
    ]
    private static let conditionKeys = ["index", "value", "valueTwo", "op"]

    init(_ node: JSONNode, file: String, host: PolicyHost) throws(SandboxPolicyError) {
        let top = try JSONObjectReader(node, "the policy", keys: SeccompPolicy.keys, nullIsAbsent: true, file: file)
        self.file = file
        self.name = SeccompPolicy.baseName(of: file)
        defaultAction = try top.action("defaultAction", errnoKey: "defaultErrnoRet", errnoNameKey: "defaultErrno")
        guard !defaultAction.letsPass else {
            throw top.failure("defaultAction", "must deny, such as SCMP_ACT_ERRNO: what is not listed is not allowed")
        }
        architectures = try SeccompPolicy.architectures(top)
        try SeccompPolicy.refuseWhatCannotBeHonoured(top)
        var rules: [Rule] = []
        for entry in try top.array("syscalls", max: SandboxPolicyLimits.rulesMax) ?? [] {
            let (rule, applies) = try SeccompPolicy.rule(entry, file: file, host: host)
            if applies { rules.append(rule) }
        }
        self.rules = rules
    }

    private static func baseName(of file: String) -> String {
        let last = file.split(separator: "/").last.map(String.init) ?? file
        return last.hasSuffix(".json") ? String(last.dropLast(".json".count)) : last
    }

    /// `architectures`, or this machine's entry of Docker's `archMap`; one of them must be this machine's.
    private static func architectures(_ top: JSONObjectReader) throws(SandboxPolicyError) -> [String] {
        let native = SyscallNames.nativeArchitecture
        let names = try top.strings("architectures", max: 64)
        for (name, line) in names ?? [] { try checkArchitecture(name, file: top.file, line: line) }
        guard let entries = try top.array("archMap", max: 64), !entries.isEmpty else {
            guard let names, !names.isEmpty else { return [] }
            guard names.contains(where: { $0.text == native }) else {
                throw top.failure("architectures", "does not list \(native), which this machine needs")
            }
            return names.map(\.text)
        }
        guard names?.isEmpty != false else {
            throw top.failure("archMap", "and 'architectures' say the same thing twice; keep one of them")
        }
        var found: [String]?
        for entry in entries {
            let map = try JSONObjectReader(
                entry, "archMap", keys: ["architecture", "subArchitectures"], nullIsAbsent: true, file: top.file)
            let architecture = try map.required("architecture")
            try checkArchitecture(architecture, file: top.file, line: map.line(of: "architecture"))
            let others = try map.strings("subArchitectures", max: 64) ?? []
            for (name, line) in others { try checkArchitecture(name, file: top.file, line: line) }
            if architecture == native { found = [native] + others.map(\.text) }
        }
        guard let found else { throw top.failure("archMap", "does not list \(native), which this machine needs") }
        return found
    }

    private static func checkArchitecture(_ name: String, file: String, line: Int) throws(SandboxPolicyError) {
        guard architectureNames.contains(name) else {
            let hint = NearestName.hint(for: name, among: architectureNames)
            throw SandboxPolicyError(file: file, line: line, "unknown architecture '\(name)'\(hint)")
        }
    }

    /// The architectures of the runtime-spec.
    private static let architectureNames = [
        "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32",
        "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH",
        "SHEB",
    ].map { "SCMP_ARCH_" + $0 }

    /// Refuses settings that the launcher does not support: the policy would be weaker, or louder, than its author
    /// believes.
    private static func refuseWhatCannotBeHonoured(_ top: JSONObjectReader) throws(SandboxPolicyError) {
        let reasons = [
            // One thread loads the filter, so that all threads have it in any case.
            "SECCOMP_FILTER_FLAG_TSYNC": "",
            "SECCOMP_FILTER_FLAG_LOG": "nothing that a backend does is written to the kernel's log",
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW": "it would turn the processor's speculation controls off",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": "it is for policies with SCMP_ACT_NOTIFY, which are refused",
        ]
        for (flag, line) in try top.strings("flags", max: 16) ?? [] {
            guard let reason = reasons[flag] else {
                let hint = NearestName.hint(for: flag, among: reasons.keys.sorted())
                throw SandboxPolicyError(file: top.file, line: line, "unknown flag '\(flag)'\(hint)")
            }
            guard reason.isEmpty else {
                throw SandboxPolicyError(file: top.file, line: line, "flag \(flag) is refused: \(reason); leave it out")
            }
        }
        for key in ["listenerPath", "listenerMetadata"] where try top.string(key)?.isEmpty == false {
            throw top.failure(
                key, "is refused: no program listens for a backend's system calls but the agent itself; leave it out")
        }
    }

    private static func rule(
        _ node: JSONNode, file: String, host: PolicyHost
    ) throws(SandboxPolicyError) -> (rule: Rule, applies: Bool) {
        let entry = try JSONObjectReader(node, "a rule", keys: ruleKeys, nullIsAbsent: true, file: file)
        let action = try entry.action("action", errnoKey: "errnoRet", errnoNameKey: "errno")
        var conditions: [Condition] = []
        for argument in try entry.array("args", max: 6) ?? [] {
            let condition = try condition(argument, file: file)
            guard !conditions.contains(where: { $0.index == condition.index }) else {
                throw SandboxPolicyError(
                    file: file, line: argument.line,
                    "argument \(condition.index) is compared twice in one rule; write two rules, or one mask")
            }
            conditions.append(condition)
        }
        let names = try callNames(entry)
        // The launcher's supervisor decides on no other call.
        guard action != .notify || (names == ["openat"] && !conditions.isEmpty) else {
            throw entry.failure(
                "action",
                "SCMP_ACT_NOTIFY is refused: it asks a program that listens, and the launcher answers nothing but "
                    + "openat under conditions (Docs/policies.md); write SCMP_ACT_ERRNO: the agent records what is denied"
            )
        }
        let rule = Rule(
            names: names, action: action, conditions: conditions.sorted { $0.index < $1.index },
            comment: try entry.string("comment"), line: node.line)
        // Both are read, so that a mistake in one is found even if the other decides.
        let isIncluded = try RuleCircumstances(entry, "includes")?.allHold(on: host) ?? true
        let isExcluded = try RuleCircumstances(entry, "excludes")?.anyHolds(on: host) ?? false
        return (rule, isIncluded && !isExcluded)
    }

    /// `names`, or the single `name` of Docker's older profiles.
    private static func callNames(_ entry: JSONObjectReader) throws(SandboxPolicyError) -> [String] {
        var names = try entry.strings("names", max: 512) ?? []
        if let name = try entry.string("name") {
            guard names.isEmpty else { throw entry.failure("name", "and 'names' stand in one rule; keep 'names'") }
            names = [(name, entry.line(of: "name"))]
        }
        guard !names.isEmpty else { throw entry.failure("names", "must list at least one system call") }
        for (name, line) in names where !SyscallNames.isKnown(name) {
            let known = SyscallNames.all.map(\.name) + NewerSyscalls.numbers.keys
            let hint = NearestName.hint(for: name, among: known)
            throw SandboxPolicyError(file: entry.file, line: line, "unknown system call '\(name)'\(hint)")
        }
        return names.map(\.text)
    }

    private static func condition(_ node: JSONNode, file: String) throws(SandboxPolicyError) -> Condition {
        let entry = try JSONObjectReader(node, "an argument", keys: conditionKeys, nullIsAbsent: true, file: file)
        let operationName = try entry.required("op")
        guard let operation = Operation(rawValue: operationName) else {
            let hint = NearestName.hint(for: operationName, among: Operation.allCases.map(\.rawValue))
            throw entry.failure("op", "is unknown: '\(operationName)'\(hint)")
        }
        guard let index = try entry.integer("index", max: 5) else { throw entry.failure("index", "is missing") }
        guard let value = try entry.integer("value") else { throw entry.failure("value", "is missing") }
        // The default is 0: Docker's profiles leave it out.
        let valueTwo = try entry.integer("valueTwo") ?? 0
        if operation == .maskedEqual, valueTwo & ~value != 0 {
            throw entry.failure(
                "valueTwo",
                "has bits that 'value' masks out, so that the comparison never holds; "
                    + "'value' is the mask, 'valueTwo' what remains")
        }
        if operation != .maskedEqual, valueTwo != 0 {
            throw entry.failure("valueTwo", "only means something with SCMP_CMP_MASKED_EQ; leave it out")
        }
        return Condition(index: UInt32(index), operation: operation, value: value, valueTwo: valueTwo)
    }
}
