/// The argument of a system call that tells its kinds apart: for `socket` the family, for `prctl` the operation. A call
/// that does one thing has none, nor has one whose telling argument lies behind a pointer, where no filter sees it.
///
/// Pure; any thread may use it.
package enum ArgumentClass {
    /// The index of the argument, from 0 to 5; nil: none.
    package static func index(ofCall number: UInt32) -> Int? { indices[number] }

    /// By the call's number on this machine.
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
