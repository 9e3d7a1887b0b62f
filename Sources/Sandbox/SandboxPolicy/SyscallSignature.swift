/// The parameters of a system call, as far as policies and reports speak of them.
struct SyscallSignature: Sendable {
    /// In order; those that are missing have no name here.
    let parameters: [Parameter]
    /// The one that says what kind of thing is asked for.
    let telling: Int?

    struct Parameter: ExpressibleByStringLiteral, Sendable {
        let name: String
        /// What its values are called.
        var vocabulary: ArgumentVocabulary?
        /// A long of the kernel's, not an int of which it ignores the upper half.
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
                // The kernel looks at the lower half only; a filter that compares all 64 bits must not be passed by that.
                return "\(vocabulary.words(value & 0xffff_ffff)), with high bits set"
            }
            return vocabulary.words(value)
        }
    }

    init(_ parameters: [Parameter], telling: Int? = nil) {
        self.parameters = parameters
        self.telling = telling
    }

    /// By the numbers of this machine.
    static let table: [UInt32: SyscallSignature] = Dictionary(
        uniqueKeysWithValues: named.compactMap { name, signature in
            SyscallNames.number(of: name).map { ($0, signature) }
        })

    private static let protection = Parameter("protection", .protections, isWide: true)

    private static let named: [String: SyscallSignature] = [
        "socket": .init([Parameter("family", .families), "type", "protocol"], telling: 0),
        "socketpair": .init([Parameter("family", .families), "type", "protocol"], telling: 0),
        "setsockopt": .init(["descriptor", Parameter("level", .socketLevels), "option"], telling: 1),
        "getsockopt": .init(["descriptor", Parameter("level", .socketLevels), "option"], telling: 1),
        "sendto": .init(["descriptor", "buffer", "length", "flags", "address", "address length"]),
        "recvfrom": .init(["descriptor", "buffer", "length", "flags", "address", "address length"]),
        "clone": .init([Parameter("flags", .cloning, isWide: true)], telling: 0),
        "unshare": .init([Parameter("flags", .cloning, isWide: true)], telling: 0),
        "setns": .init(["descriptor", Parameter("kind", .cloning)], telling: 1),
        "prctl": .init([Parameter("operation", .processOperations)], telling: 0),
        "arch_prctl": .init([Parameter("operation", .architectureOperations)], telling: 0),
        "seccomp": .init([Parameter("operation", .seccompOperations), "flags"], telling: 0),
        "personality": .init([Parameter("persona", .personalities)], telling: 0),
        "ioctl": .init(["descriptor", Parameter("request", .deviceRequests)], telling: 1),
        "fcntl": .init(["descriptor", Parameter("operation", .descriptorOperations)], telling: 1),
        "open": .init(["path", Parameter("flags", .openFlags), "mode"]),
        "openat": .init(["folder", "path", Parameter("flags", .openFlags), "mode"]),
        "mmap": .init(
            ["address", "length", protection, Parameter("flags", .mapFlags, isWide: true), "descriptor", "offset"],
            telling: 2),
        "mprotect": .init(["address", "length", protection], telling: 2),
        "pkey_mprotect": .init(["address", "length", protection, "key"], telling: 2),
        "madvise": .init(["address", "length", Parameter("advice", .advice)], telling: 2),
        "process_madvise": .init(["process", "vector", "length", Parameter("advice", .advice)], telling: 3),
        "memfd_create": .init(["name", Parameter("flags", .memoryFileFlags)], telling: 1),
        "membarrier": .init([Parameter("command", .barriers)], telling: 0),
        "kill": .init(["process", Parameter("signal", .signals)], telling: 1),
        "tkill": .init(["thread", Parameter("signal", .signals)], telling: 1),
        "tgkill": .init(["process", "thread", Parameter("signal", .signals)], telling: 2),
        "rt_sigqueueinfo": .init(["process", Parameter("signal", .signals)], telling: 1),
        "rt_tgsigqueueinfo": .init(["process", "thread", Parameter("signal", .signals)], telling: 2),
        "pidfd_send_signal": .init(["process", Parameter("signal", .signals)], telling: 1),
        "prlimit64": .init(["process", Parameter("resource", .resources), "new limit", "old limit"], telling: 1),
        "getrlimit": .init([Parameter("resource", .resources)], telling: 0),
        "setrlimit": .init([Parameter("resource", .resources)], telling: 0),
        "sched_setscheduler": .init(["process", Parameter("scheduler", .schedulers)], telling: 1),
        "ptrace": .init([Parameter("request", .tracing, isWide: true), "process"], telling: 0),
        "bpf": .init([Parameter("command", .bpfCommands)], telling: 0),
        "keyctl": .init([Parameter("operation", .keyOperations)], telling: 0),
        "newfstatat": .init(["folder", "path", "status", Parameter("flags", .pathFlags)], telling: 3),
        "statx": .init(["folder", "path", Parameter("flags", .pathFlags)], telling: 2),
        "faccessat2": .init(["folder", "path", "mode", Parameter("flags", .pathFlags)], telling: 3),
        "execveat": .init(["folder", "path", "arguments", "environment", Parameter("flags", .pathFlags)], telling: 4),
    ]
}
