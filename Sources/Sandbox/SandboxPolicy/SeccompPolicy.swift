internal import Glibc
internal import LinuxSystem
internal import StrictJSON

/// Which system calls a backend may make: a seccomp profile in OCI's JSON form (runtime-spec, config-linux, "Seccomp"),
/// read strictly. A plain value; `compile()` makes the kernel's form of it.
package struct SeccompPolicy: Equatable, Sendable {
    /// The file's name without `.json`, as manifests call it.
    package let name: String
    package let file: String
    package let defaultAction: Action
    /// As listed, such as SCMP_ARCH_X86_64; empty means this machine's. Only this machine's own is ever let through:
    /// calls of any other architecture kill, 32-bit ones of this machine's processor too.
    package let architectures: [String]
    /// Those that apply on the machine that the policy was read for.
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
        /// Let pass and told to the agent, which keeps it beside what was denied; nothing reaches the kernel's log.
        case log
        /// Put to the launcher's supervisor; no file can say so.
        case notify
    }

    /// A comparison of one argument of the call, all 64 bits of it.
    package struct Condition: Equatable, Sendable {
        /// From 0 to 5.
        package let index: UInt32
        package let operation: Operation
        package let value: UInt64
        /// For `maskedEqual`: what the argument, masked with `value`, must be.
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

    /// Reads a policy from memory; `file` names it in errors, `host` is what its `includes` and `excludes` ask about.
    package static func parse(
        _ json: [UInt8], file: String, host: PolicyHost = .running
    ) throws(SandboxPolicyError) -> SeccompPolicy {
        try SeccompPolicy(JSONNode.parse(json, file: file), file: file, host: host)
    }

    /// Loads the installed policy `NAME.json` of a folder, which nobody but root and this user may be able to change or
    /// replace (`PathTrust.Demands.policy`). A name is letters, digits, '-' and '_', so that it cannot lead elsewhere.
    package static func named(_ name: String, in folder: String) throws(SandboxPolicyError) -> SeccompPolicy {
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
        return try parse(bytes, file: path)
    }
}
