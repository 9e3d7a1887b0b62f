internal import StrictJSON

extension SeccompPolicy {
    /// The policy as the lines of a file, one call a line so that two policies can be compared by lines. Reading them
    /// gives the same rules; rules for other machines only are left out.
    package var lines: [String] {
        var lines = ["{"]
        lines.append("    \"defaultAction\": \"\(defaultAction.name)\",")
        if case .errno(let number) = defaultAction { lines.append("    \"defaultErrnoRet\": \(number),") }
        if !architectures.isEmpty {
            lines.append("    \"architectures\": [\(architectures.map { "\"\($0)\"" }.joined(separator: ", "))],")
        }
        lines.append("    \"syscalls\": [")
        for (position, rule) in rules.enumerated() {
            lines += rule.lines.dropLast() + [rule.lines.last.map { position + 1 < rules.count ? $0 + "," : $0 } ?? ""]
        }
        return lines + ["    ]", "}"]
    }
}

extension SeccompPolicy.Rule {
    fileprivate var lines: [String] {
        var lines = ["        {"]
        if let comment { lines.append("            \"comment\": \(jsonString(comment)),") }
        lines.append("            \"names\": [")
        lines += names.enumerated().map { "                \"\($0.element)\"\($0.offset + 1 < names.count ? "," : "")" }
        lines.append("            ],")
        if !conditions.isEmpty {
            lines.append("            \"args\": [")
            for (position, condition) in conditions.enumerated() {
                let two = condition.operation == .maskedEqual ? ", \"valueTwo\": \(condition.valueTwo)" : ""
                lines.append(
                    "                {\"index\": \(condition.index), \"value\": \(condition.value)\(two), \"op\": \""
                        + "\(condition.operation.rawValue)\"}\(position + 1 < conditions.count ? "," : "")")
            }
            lines.append("            ],")
        }
        if case .errno(let number) = action { lines.append("            \"errnoRet\": \(number),") }
        lines.append("            \"action\": \"\(action.name)\"")
        return lines + ["        }"]
    }
}

extension SeccompPolicy.Action {
    /// The name that policies use.
    package var name: String {
        switch self {
        case .allow: "SCMP_ACT_ALLOW"
        case .errno: "SCMP_ACT_ERRNO"
        case .killProcess: "SCMP_ACT_KILL_PROCESS"
        case .killThread: "SCMP_ACT_KILL_THREAD"
        case .trap: "SCMP_ACT_TRAP"
        case .log: "SCMP_ACT_LOG"
        case .notify: "SCMP_ACT_NOTIFY"
        }
    }
}
