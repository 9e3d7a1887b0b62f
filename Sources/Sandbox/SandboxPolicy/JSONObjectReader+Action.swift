internal import StrictJSON

extension JSONObjectReader {
    /// An action with its error number, which may be given as a number, by name, or as both.
    func action(
        _ key: String, errnoKey: String, errnoNameKey: String
    ) throws(SandboxPolicyError) -> SeccompPolicy.Action {
        let name = try required(key)
        let number = try errorNumber(errnoKey, nameKey: errnoNameKey)
        if number != nil, name != "SCMP_ACT_ERRNO" {
            throw failure(
                node(errnoKey) == nil ? errnoNameKey : errnoKey,
                "only means something with SCMP_ACT_ERRNO, not with \(name)")
        }
        switch name {
        case "SCMP_ACT_ALLOW": return .allow
        // OCI runtimes answer with EPERM when no number is given.
        case "SCMP_ACT_ERRNO": return .errno(number ?? 1)
        case "SCMP_ACT_KILL_PROCESS": return .killProcess
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return .killThread
        case "SCMP_ACT_TRAP": return .trap
        case "SCMP_ACT_LOG": return .log
        case "SCMP_ACT_NOTIFY": return .notify
        default: throw failure(key, JSONObjectReader.refusal(of: name))
        }
    }

    private static let actionNames = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_TRAP",
    ]

    private static func refusal(of action: String) -> String {
        switch action {
        case "SCMP_ACT_TRACE":
            "SCMP_ACT_TRACE is refused: it asks a tracer, and nobody may trace a backend; write SCMP_ACT_ERRNO"
        default:
            "is an unknown action: '\(action)'\(NearestName.hint(for: action, among: actionNames))"
        }
    }

    private func errorNumber(_ key: String, nameKey: String) throws(SandboxPolicyError) -> UInt16? {
        let number = try integer(key, max: ErrorNumber.max).map { UInt16($0) }
        // containers-common writes "" where there is none.
        guard let name = try string(nameKey), !name.isEmpty else { return number }
        guard let named = ErrorNumber.number(name) else {
            let hint = NearestName.hint(for: name, among: ErrorNumber.numbers.keys.sorted())
            throw failure(nameKey, "is an unknown error: '\(name)'\(hint)")
        }
        if let number, number != named {
            throw failure(nameKey, "is \(name), which is \(named), but '\(key)' says \(number)")
        }
        return named
    }
}
