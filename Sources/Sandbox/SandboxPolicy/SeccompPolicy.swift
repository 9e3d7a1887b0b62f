internal import Glibc
internal import LinuxSystem
internal import StrictJSON

/// The system calls that a backend may make: a seccomp profile in OCI's JSON form (runtime-spec, config-linux,
/// "Seccomp"), read strictly. A plain value; `compile()` makes the kernel's form of it.
package struct SeccompPolicy: Equatable, Sendable {
    /// The file's name without `.json`, which manifests use.
    package let name: String
    package let file: String
    package let defaultAction: Action
    /// The listed architectures, such as SCMP_ARCH_X86_64; empty means this machine's. Calls of any other architecture
    /// than this machine's kill the process, 32-bit ones of its processor too.
    package let architectures: [String]
    /// The rules that apply on the machine that the policy was read for.
    package let rules: [Rule]

    package init(name: String, file: String, defaultAction: Action, architectures: [String], rules: [Rule]) {
        self.name = name
        self.file = file
        self.defaultAction = defaultAction
        self.architectures = architectures
        self.rules = rules
    }

    /// One entry of `syscalls`: these calls, if all conditions hold, end in this action.
    package struct Rule: Equatable, Sendable {
        package let names: [String]
        package let action: Action
        package let conditions: [Condition]
        package let comment: String?
        package let line: Int

        package init(names: [String], action: Action, conditions: [Condition], comment: String?, line: Int) {
            self.names = names
            self.action = action
            self.conditions = conditions
            self.comment = comment
            self.line = line
        }
    }

    package enum Action: Equatable, Sendable {
        case allow
        case errno(UInt16)
        case killProcess
        case killThread
        case trap
        /// The call passes and is reported to the agent, which keeps it beside the denied calls; nothing reaches the
        /// kernel's log.
        case log
        /// The launcher's supervisor decides; no file can use this action.
        case notify
    }

    /// A comparison of one argument of the call, all 64 bits of it.
    package struct Condition: Equatable, Sendable {
        /// From 0 to 5.
        package let index: UInt32
        package let operation: Operation
        package let value: UInt64
        /// For `maskedEqual`: the value that the argument, masked with `value`, must have.
        package let valueTwo: UInt64
    }

    package enum Operation: String, CaseIterable, Sendable {
        case notEqual = "SCMP_CMP_NE"
        case lessThan = "SCMP_CMP_LT"
        case lessOrEqual = "SCMP_CMP_LE"
        case equal = "SCMP_CMP_EQ"
        case greaterOrEqual = "SCMP_CMP_GE"
        case greaterThan = "SCMP_CMP_GT"
        case maskedEqual = "SCMP_CMP_MASKED_EQ"
    }

    /// Reads a policy file. Throws with file, line and the nearest valid name on anything that is not understood.
    package static func load(_ path: String) throws(SandboxPolicyError) -> SeccompPolicy {
        try SeccompPolicy(JSONNode.read(file: path), file: path, host: .running)
    }

    /// Reads a policy from memory; `file` names it in errors, `host` has the facts for its `includes` and `excludes`.
    package static func parse(
        _ json: [UInt8], file: String, host: PolicyHost = .running
    ) throws(SandboxPolicyError) -> SeccompPolicy {
        try SeccompPolicy(JSONNode.parse(json, file: file), file: file, host: host)
    }

    /// Loads the installed policy `NAME.json` of a folder, which nobody but root and this user may be able to change or
    /// replace (`PathTrust.Demands.policy`). A name is letters, digits, '-' and '_', so that it cannot lead elsewhere.
    package static func named(_ name: String, in folder: String) throws(SandboxPolicyError) -> SeccompPolicy {
        try read(name, in: folder).policy
    }

    /// The same, with the bytes of its file.
    package static func read(
        _ name: String, in folder: String
    ) throws(SandboxPolicyError) -> (policy: SeccompPolicy, bytes: [UInt8]) {
        let isPlain = name.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
                || $0 == UInt8(ascii: "_")
        }
        guard isPlain, !name.isEmpty, name.utf8.count <= 64 else {
            throw SandboxPolicyError(file: folder, "'\(name)' is no policy's name: write letters, digits, '-' and '_'")
        }
        let path = "\(folder)/\(name).json"
        let bytes: [UInt8]
        do throws(TrustError) {
            bytes = try PathTrust.open(path, .policy, O_RDONLY).read(max: JSONLimits.fileBytesMax)
        } catch {
            throw SandboxPolicyError(
                file: path, error.cause == nil ? "is not used: it is \(error.reason)" : "\(error)",
                isTransient: error.isTransient)
        }
        return (try parse(bytes, file: path), bytes)
    }
}
