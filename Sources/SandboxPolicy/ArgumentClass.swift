/// Which argument of a system call says what kind of thing it asks for, and what that argument's values are called:
/// for `socket` the family, for `prctl` the operation. Calls that do one thing have none, nor have those whose telling
/// argument lies behind a pointer, where no filter sees it.
///
/// Pure; any thread may use it. Values come from a hostile program: every one of the 2^64 has an answer.
package enum ArgumentClass {
    /// From 0 to 5.
    package static func index(ofCall number: UInt32) -> Int? { table[number]?.index }

    /// The value in the words of the manual pages, such as "AF_INET" or "PROT_READ|PROT_EXEC"; nil for a call without
    /// a telling argument. What has no name is a number.
    package static func words(call number: UInt32, value: UInt64) -> String? {
        guard let entry = table[number] else { return nil }
        guard entry.isWide || value <= UInt64(UInt32.max) else {
            // The kernel looks at the lower half only; a filter that compares all 64 bits must not be passed by that.
            return "\(entry.vocabulary.words(value & 0xffff_ffff)), with high bits set"
        }
        return entry.vocabulary.words(value)
    }

    private struct Entry {
        let index: Int
        let vocabulary: ArgumentVocabulary
        /// A long of the kernel's, not an int.
        let isWide: Bool

        init(_ index: Int, _ vocabulary: ArgumentVocabulary, isWide: Bool = false) {
            self.index = index
            self.vocabulary = vocabulary
            self.isWide = isWide
        }
    }

    private static let table: [UInt32: Entry] = Dictionary(
        uniqueKeysWithValues: entries.compactMap { name, entry in SyscallNames.number(of: name).map { ($0, entry) } })

    private static let entries: [String: Entry] = [
        "socket": Entry(0, .families), "socketpair": Entry(0, .families),
        "setsockopt": Entry(1, .socketLevels), "getsockopt": Entry(1, .socketLevels),
        "clone": Entry(0, .cloning, isWide: true), "unshare": Entry(0, .cloning, isWide: true),
        "setns": Entry(1, .cloning),
        "prctl": Entry(0, .processOperations), "arch_prctl": Entry(0, .architectureOperations),
        "seccomp": Entry(0, .seccompOperations), "personality": Entry(0, .personalities),
        "ioctl": Entry(1, .deviceRequests), "fcntl": Entry(1, .descriptorOperations),
        "mmap": Entry(2, .protections, isWide: true), "mprotect": Entry(2, .protections, isWide: true),
        "pkey_mprotect": Entry(2, .protections, isWide: true),
        "madvise": Entry(2, .advice), "process_madvise": Entry(3, .advice),
        "memfd_create": Entry(1, .memoryFileFlags), "membarrier": Entry(0, .barriers),
        "kill": Entry(1, .signals), "tkill": Entry(1, .signals), "tgkill": Entry(2, .signals),
        "rt_sigqueueinfo": Entry(1, .signals), "rt_tgsigqueueinfo": Entry(2, .signals),
        "pidfd_send_signal": Entry(1, .signals),
        "prlimit64": Entry(1, .resources), "getrlimit": Entry(0, .resources), "setrlimit": Entry(0, .resources),
        "sched_setscheduler": Entry(1, .schedulers),
        "ptrace": Entry(0, .tracing, isWide: true), "bpf": Entry(0, .bpfCommands), "keyctl": Entry(0, .keyOperations),
        "newfstatat": Entry(3, .pathFlags), "statx": Entry(2, .pathFlags), "faccessat2": Entry(3, .pathFlags),
        "execveat": Entry(4, .pathFlags),
    ]
}
