extension SeccompPolicy {
    private static let keys = ["defaultAction", "defaultErrnoRet", "architectures", "archMap", "syscalls"]
    private static let ruleKeys = ["names", "action", "errnoRet", "args", "comment"]
    private static let conditionKeys = ["index", "value", "valueTwo", "op"]
    private static let actionNames = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_TRAP",
    ]
    /// EPERM, what OCI runtimes answer when no number is given.
    private static let defaultErrno: UInt64 = 1
    /// MAX_ERRNO of the kernel.
    private static let errnoMax: UInt64 = 4095

    init(_ node: JSONNode, file: String) throws(SandboxPolicyError) {
        let top = try JSONObjectReader(node, "the policy", keys: SeccompPolicy.keys, file: file)
        self.file = file
        self.name = SeccompPolicy.baseName(of: file)
        defaultAction = try SeccompPolicy.action(
            top, name: top.required("defaultAction"), key: "defaultAction", errnoKey: "defaultErrnoRet")
        if case .allow = defaultAction {
            throw top.failure("defaultAction", "must deny, such as SCMP_ACT_ERRNO: what is not listed is not allowed")
        }
        architectures = try SeccompPolicy.architectures(top)
        var rules: [Rule] = []
        for entry in try top.array("syscalls", max: SandboxPolicyLimits.rulesMax) ?? [] {
            rules.append(try SeccompPolicy.rule(entry, file: file))
        }
        self.rules = rules
    }

    private static func baseName(of file: String) -> String {
        let last = file.split(separator: "/").last.map(String.init) ?? file
        return last.hasSuffix(".json") ? String(last.dropLast(".json".count)) : last
    }

    /// `architectures`, or the keys of Docker's `archMap`; one of them must be this machine's.
    private static func architectures(_ top: JSONObjectReader) throws(SandboxPolicyError) -> [String] {
        var names = try top.strings("architectures", max: 64)?.map(\.text) ?? []
        for entry in try top.array("archMap", max: 64) ?? [] {
            let map = try JSONObjectReader(
                entry, "archMap", keys: ["architecture", "subArchitectures"], file: top.file)
            names.append(try map.required("architecture"))
        }
        let native = SyscallNames.nativeArchitecture
        guard names.isEmpty || names.contains(native) else {
            throw top.failure("architectures", "does not list \(native), which this machine needs")
        }
        return names
    }

    private static func rule(_ node: JSONNode, file: String) throws(SandboxPolicyError) -> Rule {
        let entry = try JSONObjectReader(node, "a rule", keys: ruleKeys, file: file)
        let names = try entry.strings("names", max: 512) ?? []
        guard !names.isEmpty else { throw entry.failure("names", "must list at least one system call") }
        for (name, line) in names where !SyscallNames.isKnown(name) {
            let hint = NearestName.hint(for: name, among: SyscallNames.all.map(\.name))
            throw SandboxPolicyError(file: file, line: line, "unknown system call '\(name)'\(hint)")
        }
        let action = try action(entry, name: entry.required("action"), key: "action", errnoKey: "errnoRet")
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
        return Rule(
            names: names.map(\.text), action: action, conditions: conditions,
            comment: try entry.string("comment"), line: node.line)
    }

    private static func condition(_ node: JSONNode, file: String) throws(SandboxPolicyError) -> Condition {
        let entry = try JSONObjectReader(node, "an argument", keys: conditionKeys, file: file)
        let operationName = try entry.required("op")
        guard let operation = Operation(rawValue: operationName) else {
            let hint = NearestName.hint(for: operationName, among: Operation.allCases.map(\.rawValue))
            throw entry.failure("op", "is unknown: '\(operationName)'\(hint)")
        }
        guard let index = try entry.integer("index", max: 5) else { throw entry.failure("index", "is missing") }
        guard let value = try entry.integer("value") else { throw entry.failure("value", "is missing") }
        let valueTwo = try entry.integer("valueTwo")
        if operation == .maskedEqual, valueTwo == nil {
            throw entry.failure("valueTwo", "is missing: the argument is masked with 'value' and compared with it")
        }
        return Condition(index: UInt32(index), operation: operation, value: value, valueTwo: valueTwo ?? 0)
    }

    private static func action(
        _ entry: JSONObjectReader, name: String, key: String, errnoKey: String
    ) throws(SandboxPolicyError) -> Action {
        let number = try entry.integer(errnoKey, max: errnoMax)
        if number != nil, name != "SCMP_ACT_ERRNO" {
            throw entry.failure(errnoKey, "only means something with SCMP_ACT_ERRNO, not with \(name)")
        }
        switch name {
        case "SCMP_ACT_ALLOW": return .allow
        case "SCMP_ACT_ERRNO": return .errno(UInt16(number ?? defaultErrno))
        case "SCMP_ACT_KILL_PROCESS": return .killProcess
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return .killThread
        case "SCMP_ACT_TRAP": return .trap
        case "SCMP_ACT_LOG": return .log
        default:
            let hint = NearestName.hint(for: name, among: actionNames)
            throw entry.failure(key, "is an unknown or unsupported action: '\(name)'\(hint)")
        }
    }
}
