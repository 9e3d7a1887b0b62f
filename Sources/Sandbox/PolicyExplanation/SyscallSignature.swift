internal import SandboxPolicy

/// The parameters of a system call, as far as policies and reports speak of them.
struct SyscallSignature: Sendable {
    /// The parameters in order; the last ones may be missing, and then have no name.
    let parameters: [Parameter]

    struct Parameter: ExpressibleByStringLiteral, Sendable {
        let name: String
        /// The names of its values.
        var vocabulary: ArgumentVocabulary?
        /// Whether the kernel takes it as a long, and not as an int, of which it ignores the upper half.
        var isWide = false

        init(stringLiteral name: String) { self.name = name }

        init(_ name: String, _ vocabulary: ArgumentVocabulary, isWide: Bool = false) {
            self.name = name
            self.vocabulary = vocabulary
            self.isWide = isWide
        }

        func words(_ value: UInt64) -> String {
            guard let vocabulary else { return "\(value)" }
            guard isWide || value <= UInt64(UInt32.max) else {
                // The kernel uses the lower half only; a filter compares all 64 bits, so the upper half must be shown.
                return "\(vocabulary.words(value & 0xffff_ffff)), with high bits set"
            }
            return vocabulary.words(value)
        }
    }

    init(_ parameters: [Parameter]) { self.parameters = parameters }

    /// The signatures by the call numbers of this machine.
    static let table: [UInt32: SyscallSignature] = Dictionary(
        uniqueKeysWithValues: named.compactMap { name, signature in
            SyscallNames.number(of: name).map { ($0, signature) }
        })

    private static let protection = Parameter("protection", .protections, isWide: true)

    private static let named: [String: SyscallSignature] = [
        "socket": .init([Parameter("family", .families), "type", "protocol"]),
        "socketpair": .init([Parameter("family", .families), "type", "protocol"]),
        "setsockopt": .init(["descriptor", Parameter("level", .socketLevels), "option"]),
        "getsockopt": .init(["descriptor", Parameter("level", .socketLevels), "option"]),
        "sendto": .init(["descriptor", "buffer", "length", "flags", "address", "address length"]),
        "recvfrom": .init(["descriptor", "buffer", "length", "flags", "address", "address length"]),
        "clone": .init([Parameter("flags", .cloning, isWide: true)]),
        "unshare": .init([Parameter("flags", .cloning, isWide: true)]),
        "setns": .init(["descriptor", Parameter("kind", .cloning)]),
        "prctl": .init([Parameter("operation", .processOperations)]),
        "arch_prctl": .init([Parameter("operation", .architectureOperations)]),
        "seccomp": .init([Parameter("operation", .seccompOperations), "flags"]),
        "personality": .init([Parameter("persona", .personalities)]),
        "ioctl": .init(["descriptor", Parameter("request", .deviceRequests)]),
        "fcntl": .init(["descriptor", Parameter("operation", .descriptorOperations)]),
        "open": .init(["path", Parameter("flags", .openFlags), "mode"]),
        "openat": .init(["folder", "path", Parameter("flags", .openFlags), "mode"]),
        "mmap": .init(
            ["address", "length", protection, Parameter("flags", .mapFlags, isWide: true), "descriptor", "offset"]),
        "mprotect": .init(["address", "length", protection]),
        "pkey_mprotect": .init(["address", "length", protection, "key"]),
        "madvise": .init(["address", "length", Parameter("advice", .advice)]),
        "process_madvise": .init(["process", "vector", "length", Parameter("advice", .advice)]),
        "memfd_create": .init(["name", Parameter("flags", .memoryFileFlags)]),
        "membarrier": .init([Parameter("command", .barriers)]),
        "kill": .init(["process", Parameter("signal", .signals)]),
        "tkill": .init(["thread", Parameter("signal", .signals)]),
        "tgkill": .init(["process", "thread", Parameter("signal", .signals)]),
        "rt_sigqueueinfo": .init(["process", Parameter("signal", .signals)]),
        "rt_tgsigqueueinfo": .init(["process", "thread", Parameter("signal", .signals)]),
        "pidfd_send_signal": .init(["process", Parameter("signal", .signals)]),
        "prlimit64": .init(["process", Parameter("resource", .resources), "new limit", "old limit"]),
        "getrlimit": .init([Parameter("resource", .resources)]),
        "setrlimit": .init([Parameter("resource", .resources)]),
        "sched_setscheduler": .init(["process", Parameter("scheduler", .schedulers)]),
        "ptrace": .init([Parameter("request", .tracing, isWide: true), "process"]),
        "bpf": .init([Parameter("command", .bpfCommands)]),
        "keyctl": .init([Parameter("operation", .keyOperations)]),
        "newfstatat": .init(["folder", "path", "status", Parameter("flags", .pathFlags)]),
        "statx": .init(["folder", "path", Parameter("flags", .pathFlags)]),
        "faccessat2": .init(["folder", "path", "mode", Parameter("flags", .pathFlags)]),
        "execveat": .init(["folder", "path", "arguments", "environment", Parameter("flags", .pathFlags)]),
    ]
}
