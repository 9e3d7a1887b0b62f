internal import SeccompFilter
internal import StrictJSON

/// The errors and warnings about a policy's file.
package struct PolicyCheck: Equatable, Sendable {
    /// Why the file cannot be used, "file:line: what, and what to write instead"; nil if it can.
    package let error: String?
    /// "file:line: what", for parts that are used but do not do what they seem to.
    package let warnings: [String]

    /// Reads and compiles a policy, and checks its filter against its rules.
    /// - Parameter demandsComments: a rule without a comment is an error, not a warning: so for the installed policies,
    ///   which are to say why each rule is there.
    package init(file: String, demandsComments: Bool) {
        var warnings: [String] = []
        do throws(SandboxPolicyError) {
            let policy = try SeccompPolicy.load(file)
            let effective = try EffectivePolicy(policy)
            warnings = effective.remarks.map { "\(file):\($0.line): \($0.text)" }
            warnings += policy.rules.compactMap { PolicyCheck.foreignCalls($0, file) }
            try PolicyCheck.checkFilter(policy)
            let silent = policy.rules.filter { $0.comment?.isEmpty != false }
            if let first = silent.first, demandsComments {
                throw SandboxPolicyError(
                    file: file, line: first.line,
                    "this rule has no comment; say why it is there, and what it leaves out")
            }
            if let first = silent.first {
                let others = silent.count > 1 ? ", nor have \(silent.count - 1) others" : ""
                warnings.append("\(file):\(first.line): this rule has no comment\(others)")
            }
            error = nil
        } catch {
            self.error = error.description
        }
        self.warnings = warnings
    }

    private static func foreignCalls(_ rule: SeccompPolicy.Rule, _ file: String) -> String? {
        let foreign = rule.names.filter { SyscallNames.number(of: $0) == nil }
        guard !foreign.isEmpty else { return nil }
        let listed =
            foreign.prefix(3).joined(separator: ", ") + (foreign.count > 3 ? " and \(foreign.count - 3) more" : "")
        return "\(file):\(rule.line): only other architectures have \(listed)"
    }

    private static func checkFilter(_ policy: SeccompPolicy) throws(SandboxPolicyError) {
        let written = try EffectivePolicy(policy, asWritten: true)
        let bytes = try policy.compileAsWritten()
        let program: FilterProgram
        do throws(FilterError) {
            program = try FilterProgram(bytes)
        } catch {
            throw SandboxPolicyError(file: policy.file, "its filter cannot be used: \(error)")
        }
        if let call = written.disagreement(with: program) {
            let name = SyscallNames.name(of: call.number) ?? "call \(call.number)"
            throw SandboxPolicyError(
                file: policy.file,
                "libseccomp makes another filter of it than its rules say, for \(name) with \(call.arguments); "
                    + "simplify the conditions of that call")
        }
        // The filter that backends are launched with.
        _ = try policy.compile()
    }
}
