internal import StrictJSON

/// When a rule of a container engine's profile applies: `includes` and `excludes` of Docker and containers-common. A
/// backend has no capability, runs on this machine's own architecture, and has the running kernel.
struct RuleCircumstances {
    private let capabilities: [String]
    private let architectures: [String]
    private let minimumKernel: KernelVersion?

    /// Nil where the rule does not have the key. Throws for unknown capabilities and architectures and malformed
    /// versions.
    init?(_ rule: JSONObjectReader, _ key: String) throws(SandboxPolicyError) {
        guard let node = rule.node(key) else { return nil }
        let entry = try JSONObjectReader(
            node, key, keys: ["caps", "arches", "minKernel"], nullIsAbsent: true, file: rule.file)
        capabilities = try RuleCircumstances.names("caps", entry, "capability", among: PolicyHost.capabilities)
        architectures = try RuleCircumstances.names("arches", entry, "architecture", among: PolicyHost.architectures)
        guard let text = try entry.string("minKernel"), !text.isEmpty else {
            minimumKernel = nil
            return
        }
        guard let version = KernelVersion(text) else {
            throw entry.failure("minKernel", "must be two numbers such as \"4.8\", not '\(text)'")
        }
        minimumKernel = version
    }

    private static func names(
        _ key: String, _ entry: JSONObjectReader, _ kind: String, among known: [String]
    ) throws(SandboxPolicyError) -> [String] {
        let names = try entry.strings(key, max: 64) ?? []
        for (name, line) in names where !known.contains(name) {
            let hint = NearestName.hint(for: name, among: known)
            throw SandboxPolicyError(file: entry.file, line: line, "unknown \(kind) '\(name)'\(hint)")
        }
        return names.map(\.text)
    }

    /// The condition of `includes`: all capabilities, one of the architectures, at least that kernel.
    func allHold(on host: PolicyHost) -> Bool {
        capabilities.isEmpty && (architectures.isEmpty || architectures.contains(host.architecture))
            && minimumKernel.map { host.kernel >= $0 } != false
    }

    /// The condition of `excludes`: any of them.
    func anyHolds(on host: PolicyHost) -> Bool {
        architectures.contains(host.architecture) || minimumKernel.map { host.kernel >= $0 } == true
    }
}
