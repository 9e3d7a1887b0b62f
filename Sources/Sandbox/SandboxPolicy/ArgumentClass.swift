/// Which argument of a system call says what kind of thing it asks for: for `socket` the family, for `prctl` the
/// operation. Calls that do one thing have none, nor have those whose telling argument lies behind a pointer, where no
/// filter sees it.
///
/// Pure; any thread may use it.
package enum ArgumentClass {
    /// From 0 to 5.
    package static func index(ofCall number: UInt32) -> Int? { indices[number] }

    /// By the numbers of this machine.
    private static let indices: [UInt32: Int] = Dictionary(
        uniqueKeysWithValues: named.flatMap { index, names in
            names.compactMap { name in SyscallNames.number(of: name).map { ($0, index) } }
        })

    private static let named: [Int: [String]] = [
        0: [
            "socket", "socketpair", "clone", "unshare", "prctl", "arch_prctl", "seccomp", "personality",
            "membarrier", "getrlimit", "setrlimit", "ptrace", "bpf", "keyctl",
        ],
        1: [
            "setsockopt", "getsockopt", "setns", "ioctl", "fcntl", "memfd_create", "kill", "tkill",
            "rt_sigqueueinfo", "pidfd_send_signal", "prlimit64", "sched_setscheduler",
        ],
        2: [
            "mmap", "mprotect", "pkey_mprotect", "madvise", "tgkill", "rt_tgsigqueueinfo", "statx",
        ],
        3: [
            "process_madvise", "newfstatat", "faccessat2",
        ],
        4: [
            "execveat"
        ],
    ]
}
