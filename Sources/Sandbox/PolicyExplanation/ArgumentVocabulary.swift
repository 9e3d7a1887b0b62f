internal import SandboxPolicy

/// The names of the values of one kind of argument: either one of several values, or several bits together with at most
/// one value below them.
struct ArgumentVocabulary: Sendable {
    /// The mask of the part that is one value; the bits above it are flags.
    var valueMask: UInt64 = .max
    var values: [UInt64: String] = [:]
    /// The flags, in the order in which they are listed.
    var flags: [(bits: UInt64, name: String)] = []
    /// The words for a value without a name.
    var describeUnknown: @Sendable (UInt64) -> String = { $0 < 4096 ? "\($0)" : "0x" + String($0, radix: 16) }

    func words(_ value: UInt64) -> String {
        var said: [String] = []
        var rest = value & ~valueMask
        for flag in flags where rest & flag.bits == flag.bits {
            said.append(flag.name)
            rest &= ~flag.bits
        }
        if rest != 0 { said.append("0x" + String(rest, radix: 16)) }
        let plain = value & valueMask
        // A zero beside flags is left out, unless it has a name.
        if let name = values[plain] {
            if said.isEmpty || plain != 0 { said.insert(name, at: 0) }
        } else if plain != 0 || said.isEmpty {
            said.insert(describeUnknown(plain), at: 0)
        }
        return said.joined(separator: "|")
    }

    /// The names of single bits, including those of values.
    func flagWords(_ bits: UInt64) -> String {
        var said: [String] = []
        var rest = bits
        for flag in flags where rest & flag.bits == flag.bits {
            said.append(flag.name)
            rest &= ~flag.bits
        }
        for (value, name) in values.sorted(by: { $0.key < $1.key })
        where valueMask != .max && value != 0 && value & (value &- 1) == 0 && rest & value != 0 {
            said.append(name)
            rest &= ~value
        }
        if rest != 0 { said.append("0x" + String(rest, radix: 16)) }
        return said.joined(separator: "|")
    }
}

/// Constants of the kernel's headers, those that x86-64 and arm64 share unless said otherwise.
extension ArgumentVocabulary {
    /// linux/socket.h
    static let families = ArgumentVocabulary(values: [
        0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 3: "AF_AX25", 4: "AF_IPX", 5: "AF_APPLETALK", 9: "AF_X25",
        10: "AF_INET6", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET", 21: "AF_RDS", 26: "AF_LLC", 28: "AF_MPLS",
        29: "AF_CAN", 30: "AF_TIPC", 31: "AF_BLUETOOTH", 38: "AF_ALG", 39: "AF_NFC", 40: "AF_VSOCK", 41: "AF_KCM",
        42: "AF_QIPCRTR", 43: "AF_SMC", 44: "AF_XDP", 45: "AF_MCTP",
    ])

    /// asm-generic/socket.h, linux/in.h
    static let socketLevels = ArgumentVocabulary(values: [
        0: "IPPROTO_IP", 1: "SOL_SOCKET", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 41: "IPPROTO_IPV6", 263: "SOL_PACKET",
        270: "SOL_NETLINK", 279: "SOL_ALG", 284: "SOL_MPTCP",
    ])

    /// linux/sched.h; the lowest eight bits are the signal that the parent gets.
    static let cloning = ArgumentVocabulary(
        valueMask: 0xff,
        values: signals.values.merging([0: "no flags"]) { $1 },
        flags: [
            (0x100, "CLONE_VM"), (0x200, "CLONE_FS"), (0x400, "CLONE_FILES"), (0x800, "CLONE_SIGHAND"),
            (0x1000, "CLONE_PIDFD"), (0x2000, "CLONE_PTRACE"), (0x4000, "CLONE_VFORK"), (0x8000, "CLONE_PARENT"),
            (0x1_0000, "CLONE_THREAD"), (0x2_0000, "CLONE_NEWNS"), (0x4_0000, "CLONE_SYSVSEM"),
            (0x8_0000, "CLONE_SETTLS"), (0x10_0000, "CLONE_PARENT_SETTID"), (0x20_0000, "CLONE_CHILD_CLEARTID"),
            (0x40_0000, "CLONE_DETACHED"), (0x80_0000, "CLONE_UNTRACED"), (0x100_0000, "CLONE_CHILD_SETTID"),
            (0x200_0000, "CLONE_NEWCGROUP"), (0x400_0000, "CLONE_NEWUTS"), (0x800_0000, "CLONE_NEWIPC"),
            (0x1000_0000, "CLONE_NEWUSER"), (0x2000_0000, "CLONE_NEWPID"), (0x4000_0000, "CLONE_NEWNET"),
            (0x8000_0000, "CLONE_IO"),
        ])

    /// linux/prctl.h
    static let processOperations = ArgumentVocabulary(values: [
        1: "PR_SET_PDEATHSIG", 2: "PR_GET_PDEATHSIG", 3: "PR_GET_DUMPABLE", 4: "PR_SET_DUMPABLE", 7: "PR_GET_KEEPCAPS",
        8: "PR_SET_KEEPCAPS", 15: "PR_SET_NAME", 16: "PR_GET_NAME", 21: "PR_GET_SECCOMP", 22: "PR_SET_SECCOMP",
        23: "PR_CAPBSET_READ", 24: "PR_CAPBSET_DROP", 25: "PR_GET_TSC", 26: "PR_SET_TSC", 27: "PR_GET_SECUREBITS",
        28: "PR_SET_SECUREBITS", 29: "PR_SET_TIMERSLACK", 30: "PR_GET_TIMERSLACK", 35: "PR_SET_MM",
        36: "PR_SET_CHILD_SUBREAPER", 37: "PR_GET_CHILD_SUBREAPER", 38: "PR_SET_NO_NEW_PRIVS",
        39: "PR_GET_NO_NEW_PRIVS", 40: "PR_GET_TID_ADDRESS", 41: "PR_SET_THP_DISABLE", 42: "PR_GET_THP_DISABLE",
        47: "PR_CAP_AMBIENT", 50: "PR_SVE_SET_VL", 51: "PR_SVE_GET_VL", 52: "PR_GET_SPECULATION_CTRL",
        53: "PR_SET_SPECULATION_CTRL", 54: "PR_PAC_RESET_KEYS", 55: "PR_SET_TAGGED_ADDR_CTRL",
        57: "PR_SET_IO_FLUSHER", 59: "PR_SET_SYSCALL_USER_DISPATCH", 62: "PR_SCHED_CORE", 65: "PR_SET_MDWE",
        66: "PR_GET_MDWE", 67: "PR_SET_MEMORY_MERGE", 0x5356_4d41: "PR_SET_VMA", 0x5961_6d61: "PR_SET_PTRACER",
    ])

    /// asm/prctl.h of x86
    static let architectureOperations = ArgumentVocabulary(values: [
        0x1001: "ARCH_SET_GS", 0x1002: "ARCH_SET_FS", 0x1003: "ARCH_GET_FS", 0x1004: "ARCH_GET_GS",
        0x1011: "ARCH_GET_CPUID", 0x1012: "ARCH_SET_CPUID", 0x1022: "ARCH_GET_XCOMP_PERM",
        0x1023: "ARCH_REQ_XCOMP_PERM", 0x3001: "ARCH_CET_STATUS", 0x5001: "ARCH_SHSTK_ENABLE",
    ])

    /// linux/seccomp.h
    static let seccompOperations = ArgumentVocabulary(values: [
        0: "SECCOMP_SET_MODE_STRICT", 1: "SECCOMP_SET_MODE_FILTER", 2: "SECCOMP_GET_ACTION_AVAIL",
        3: "SECCOMP_GET_NOTIF_SIZES",
    ])

    /// linux/personality.h
    static let personalities = ArgumentVocabulary(
        valueMask: 0xff, values: [0: "PER_LINUX", 8: "PER_LINUX32"],
        flags: [
            (0x2_0000, "UNAME26"), (0x4_0000, "ADDR_NO_RANDOMIZE"), (0x8_0000, "FDPIC_FUNCPTRS"),
            (0x10_0000, "MMAP_PAGE_ZERO"), (0x20_0000, "ADDR_COMPAT_LAYOUT"), (0x40_0000, "READ_IMPLIES_EXEC"),
            (0x80_0000, "ADDR_LIMIT_32BIT"), (0x800_0000, "ADDR_LIMIT_3GB"),
        ])

    /// asm-generic/ioctls.h; devices make theirs of a letter and a number (asm-generic/ioctl.h).
    static let deviceRequests = ArgumentVocabulary(
        values: [
            0x5401: "TCGETS", 0x5402: "TCSETS", 0x5403: "TCSETSW", 0x5404: "TCSETSF", 0x540e: "TIOCSCTTY",
            0x540f: "TIOCGPGRP", 0x5410: "TIOCSPGRP", 0x5412: "TIOCSTI", 0x5413: "TIOCGWINSZ", 0x5414: "TIOCSWINSZ",
            0x541b: "FIONREAD", 0x541c: "TIOCLINUX", 0x541d: "TIOCCONS", 0x5421: "FIONBIO", 0x5422: "TIOCNOTTY",
            0x5423: "TIOCSETD", 0x5429: "TIOCGSID", 0x5450: "FIONCLEX", 0x5451: "FIOCLEX", 0x5452: "FIOASYNC",
            0x8912: "SIOCGIFCONF", 0x8927: "SIOCGIFHWADDR", 0x4004_9409: "FICLONE",
        ],
        describeUnknown: { value in
            let letter = UInt8(truncatingIfNeeded: value >> 8)
            let kind: [UInt8: String] = [
                UInt8(ascii: "F"): " of the NVIDIA driver", UInt8(ascii: "d"): " of graphics devices (DRM)",
                UInt8(ascii: "K"): " of AMD's compute driver (KFD)", UInt8(ascii: "T"): " of terminals",
                0x89: " of sockets",
            ]
            return "0x" + String(value, radix: 16) + (kind[letter].map { ", a request\($0)" } ?? "")
        })

    /// linux/fcntl.h, asm-generic/fcntl.h
    static let descriptorOperations = ArgumentVocabulary(values: [
        0: "F_DUPFD", 1: "F_GETFD", 2: "F_SETFD", 3: "F_GETFL", 4: "F_SETFL", 5: "F_GETLK", 6: "F_SETLK", 7: "F_SETLKW",
        8: "F_SETOWN", 9: "F_GETOWN", 10: "F_SETSIG", 11: "F_GETSIG", 15: "F_SETOWN_EX", 16: "F_GETOWN_EX",
        36: "F_OFD_GETLK", 37: "F_OFD_SETLK", 38: "F_OFD_SETLKW", 1024: "F_SETLEASE", 1025: "F_GETLEASE",
        1026: "F_NOTIFY", 1030: "F_DUPFD_CLOEXEC", 1031: "F_SETPIPE_SZ", 1032: "F_GETPIPE_SZ", 1033: "F_ADD_SEALS",
        1034: "F_GET_SEALS",
    ])

    /// asm-generic/mman-common.h
    static let protections = ArgumentVocabulary(
        valueMask: 0, values: [0: "PROT_NONE"],
        flags: [
            (1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC"), (8, "PROT_SEM"), (0x100_0000, "PROT_GROWSDOWN"),
            (0x200_0000, "PROT_GROWSUP"),
        ])

    /// linux/mman.h; the lowest four bits are the type.
    static let mapFlags = ArgumentVocabulary(
        valueMask: 0xf, values: [1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE", 8: "MAP_DROPPABLE"],
        flags: [
            (0x10, "MAP_FIXED"), (0x20, "MAP_ANONYMOUS"), (0x40, "MAP_32BIT"), (0x100, "MAP_GROWSDOWN"),
            (0x800, "MAP_DENYWRITE"), (0x2000, "MAP_LOCKED"), (0x4000, "MAP_NORESERVE"), (0x8000, "MAP_POPULATE"),
            (0x1_0000, "MAP_NONBLOCK"), (0x2_0000, "MAP_STACK"), (0x4_0000, "MAP_HUGETLB"), (0x8_0000, "MAP_SYNC"),
            (0x10_0000, "MAP_FIXED_NOREPLACE"),
        ])

    /// asm-generic/fcntl.h; the lowest two bits are the access mode. O_DIRECTORY and O_NOFOLLOW differ on arm64.
    static let openFlags = ArgumentVocabulary(
        valueMask: 3, values: [0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR"],
        flags: [
            (0o100, "O_CREAT"), (0o200, "O_EXCL"), (0o400, "O_NOCTTY"), (0o1000, "O_TRUNC"), (0o2000, "O_APPEND"),
            (0o4000, "O_NONBLOCK"), (0o200_0000, "O_CLOEXEC"), (0o1000_0000, "O_PATH"), (0o2000_0000, "O_TMPFILE"),
        ])

    /// asm-generic/mman-common.h
    static let advice = ArgumentVocabulary(values: [
        0: "MADV_NORMAL", 1: "MADV_RANDOM", 2: "MADV_SEQUENTIAL", 3: "MADV_WILLNEED", 4: "MADV_DONTNEED",
        8: "MADV_FREE",
        9: "MADV_REMOVE", 10: "MADV_DONTFORK", 11: "MADV_DOFORK", 12: "MADV_MERGEABLE", 13: "MADV_UNMERGEABLE",
        14: "MADV_HUGEPAGE", 15: "MADV_NOHUGEPAGE", 16: "MADV_DONTDUMP", 17: "MADV_DODUMP", 18: "MADV_WIPEONFORK",
        19: "MADV_KEEPONFORK", 20: "MADV_COLD", 21: "MADV_PAGEOUT", 22: "MADV_POPULATE_READ",
        23: "MADV_POPULATE_WRITE", 25: "MADV_COLLAPSE", 100: "MADV_HWPOISON",
    ])

    /// linux/memfd.h
    static let memoryFileFlags = ArgumentVocabulary(
        valueMask: 0, values: [0: "no flags"],
        flags: [
            (1, "MFD_CLOEXEC"), (2, "MFD_ALLOW_SEALING"), (4, "MFD_HUGETLB"), (8, "MFD_NOEXEC_SEAL"), (16, "MFD_EXEC"),
        ])

    /// linux/membarrier.h
    static let barriers = ArgumentVocabulary(values: [
        0: "MEMBARRIER_CMD_QUERY", 1: "MEMBARRIER_CMD_GLOBAL", 8: "MEMBARRIER_CMD_PRIVATE_EXPEDITED",
        16: "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED",
    ])

    /// asm-generic/signal.h
    static let signals = ArgumentVocabulary(values: [
        0: "no signal, only whether it may", 1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP",
        6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2",
        13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT", 17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP",
        20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM",
        27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
    ])

    /// asm-generic/resource.h
    static let resources = ArgumentVocabulary(values: [
        0: "RLIMIT_CPU", 1: "RLIMIT_FSIZE", 2: "RLIMIT_DATA", 3: "RLIMIT_STACK", 4: "RLIMIT_CORE", 5: "RLIMIT_RSS",
        6: "RLIMIT_NPROC", 7: "RLIMIT_NOFILE", 8: "RLIMIT_MEMLOCK", 9: "RLIMIT_AS", 10: "RLIMIT_LOCKS",
        11: "RLIMIT_SIGPENDING", 12: "RLIMIT_MSGQUEUE", 13: "RLIMIT_NICE", 14: "RLIMIT_RTPRIO", 15: "RLIMIT_RTTIME",
    ])

    /// linux/sched.h
    static let schedulers = ArgumentVocabulary(values: [
        0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH", 5: "SCHED_IDLE", 6: "SCHED_DEADLINE",
    ])

    /// linux/ptrace.h
    static let tracing = ArgumentVocabulary(values: [
        0: "PTRACE_TRACEME", 1: "PTRACE_PEEKTEXT", 2: "PTRACE_PEEKDATA", 4: "PTRACE_POKETEXT", 5: "PTRACE_POKEDATA",
        7: "PTRACE_CONT", 8: "PTRACE_KILL", 9: "PTRACE_SINGLESTEP", 16: "PTRACE_ATTACH", 17: "PTRACE_DETACH",
        24: "PTRACE_SYSCALL", 0x4200: "PTRACE_SETOPTIONS", 0x4206: "PTRACE_SEIZE",
    ])

    /// linux/bpf.h
    static let bpfCommands = ArgumentVocabulary(values: [
        0: "BPF_MAP_CREATE", 1: "BPF_MAP_LOOKUP_ELEM", 2: "BPF_MAP_UPDATE_ELEM", 5: "BPF_PROG_LOAD", 18: "BPF_BTF_LOAD",
    ])

    /// linux/keyctl.h
    static let keyOperations = ArgumentVocabulary(values: [
        0: "KEYCTL_GET_KEYRING_ID", 1: "KEYCTL_JOIN_SESSION_KEYRING", 2: "KEYCTL_UPDATE", 3: "KEYCTL_REVOKE",
        5: "KEYCTL_SETPERM", 6: "KEYCTL_DESCRIBE", 10: "KEYCTL_SEARCH", 11: "KEYCTL_READ",
    ])

    /// linux/fcntl.h, the AT_ flags
    static let pathFlags = ArgumentVocabulary(
        valueMask: 0, values: [0: "no flags"],
        flags: [
            (0x100, "AT_SYMLINK_NOFOLLOW"), (0x200, "AT_EACCESS"), (0x400, "AT_SYMLINK_FOLLOW"),
            (0x800, "AT_NO_AUTOMOUNT"), (0x1000, "AT_EMPTY_PATH"), (0x2000, "AT_STATX_FORCE_SYNC"),
            (0x4000, "AT_STATX_DONT_SYNC"),
        ])
}
