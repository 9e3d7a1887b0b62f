package import SandboxPolicy
package import SeccompFilter

/// A probe that may succeed inside, because the tier declares a residual risk, or the policy allows it on purpose. Any
/// other success is a hole.
package struct DeclaredEscape: Sendable {
    private let probe: String
    /// The residual risk that the tier must have for it; nil: the policy alone decides, in every tier.
    private let risk: String?
    /// The system call that the filter must let pass for it, by name; nil: any filter does.
    private let call: (name: String, arguments: [UInt64])?

    /// The probes that may succeed with these risks and this filter. Pure.
    package static func probes(risks: [ResidualRisk], filter: [UInt8]) throws(FilterError) -> Set<String> {
        let program = try FilterProgram(filter)
        let names = Set(risks.map(\.name))
        let declared = all.filter { escape in
            guard escape.risk.map(names.contains) ?? true else { return false }
            guard let call = escape.call else { return true }
            guard let number = SyscallNames.number(of: call.name) else { return false }
            return program.verdict(on: SystemCall(number, call.arguments)) == .allow
        }
        return Set(declared.map(\.probe))
    }

    private init(_ probe: String, risk: String? = nil, call: String? = nil, _ arguments: [UInt64] = []) {
        self.probe = probe
        self.risk = risk
        // Six, as the kernel has them.
        self.call = call.map { ($0, arguments + Array(repeating: 0, count: 6 - arguments.count)) }
    }

    private static let atFolder = UInt64(bitPattern: -100)
    private static let emptyPath: UInt64 = 0x1000
    private static let readAndExecute: UInt64 = 5
    private static let mapPrivate: UInt64 = 2

    private static let all = [
        // AT_EMPTY_PATH with a path: how C libraries ask about their own descriptors.
        DeclaredEscape(
            "see-home-by-empty-path-flag", risk: "path-existence", call: "newfstatat", [atFolder, 0, 0, emptyPath]),
        DeclaredEscape("see-home", risk: "path-existence", call: "newfstatat", [atFolder]),
        DeclaredEscape("see-home-by-newest-call", risk: "path-existence", call: "statx", [atFolder]),
        DeclaredEscape("see-home-by-access", risk: "path-existence", call: "faccessat", [atFolder]),
        DeclaredEscape("see-home-by-link", risk: "path-existence", call: "readlinkat", [atFolder]),
        DeclaredEscape("learn-host-name", risk: "shared-process-numbers", call: "uname"),
        DeclaredEscape("thread-bomb", risk: "threads-unlimited"),
        // Policies for programs that load libraries, and for runtimes that make pairs and copies of descriptors.
        DeclaredEscape("run-code-of-model", call: "mmap", [0, 4096, readAndExecute, mapPrivate, 9]),
        DeclaredEscape("make-socket-pair", call: "socketpair", [1, 1]),
        DeclaredEscape("duplicate", call: "dup", [1]),
    ]
}
