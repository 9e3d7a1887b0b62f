internal import SandboxPolicy

extension SyscallGroup {
    /// All groups, from calls that every program makes to calls that only the system makes.
    package static let all: [SyscallGroup] = harmless + files + outward + processes + system

    private init(
        _ name: String, risk: Int, _ purpose: String, exposes exposure: String, _ calls: String, _ cases: [Case] = []
    ) {
        self.init(
            name: name, purpose: purpose, exposure: exposure, risk: risk,
            calls: Set(calls.split(whereSeparator: \.isWhitespace).map(String.init)), cases: cases)
    }

    private static func bits(_ index: UInt32, _ mask: UInt64, _ rest: UInt64) -> SeccompPolicy.Condition {
        SeccompPolicy.Condition(index, .maskedEqual, mask, rest)
    }

    private static let execute: UInt64 = 4
    private static let shared: UInt64 = 1
    private static let threadFlag: UInt64 = 0x1_0000
    /// TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
    private static let harmlessRequests: [UInt64] = [0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451]
    /// AT_EMPTY_PATH alone: the call is about a descriptor.
    private static let emptyPath: UInt64 = 0x1000
    /// PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS.
    private static let harmlessOperations: [UInt64] = [15, 16, 0x5356_4d41, 38, 39]

    private static let harmless: [SyscallGroup] = [
        SyscallGroup(
            "open descriptors", risk: 5, "read and write what it has open",
            exposes: "nothing by itself: what may be opened decides",
            """
            read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close close_range lseek fstat fcntl
            dup dup2 dup3 fsync fdatasync sync_file_range fadvise64 readahead flock cachestat
            """,
            harmlessRequests.map { Case("ioctl", [SeccompPolicy.Condition(1, .equal, $0)]) }
                + [Case("newfstatat", [SeccompPolicy.Condition(3, .equal, emptyPath)])]),
        SyscallGroup(
            "waiting", risk: 5, "wait for descriptors and timers", exposes: "nothing beyond the processor's time",
            """
            poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
            epoll_ctl_old epoll_wait_old eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime
            timerfd_gettime
            """),
        SyscallGroup(
            "memory", risk: 5, "take and give back memory of its own", exposes: "memory, up to its limits",
            "brk munmap mremap madvise mincore msync mseal",
            [Case("mmap", [bits(2, execute, 0), bits(3, shared, 0)]), Case("mprotect", [bits(2, execute, 0)])]),
        SyscallGroup(
            "shared memory", risk: 40, "map files and memory that others may see too",
            exposes: "channels to other programs, and memory that is not counted as its own",
            "memfd_create", [Case("mmap", [bits(2, execute, 0), bits(3, shared, shared)])]),
        SyscallGroup(
            "threads", risk: 5, "run several threads", exposes: "the processor's time, up to its limits",
            """
            futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list set_tid_address rseq
            sched_yield sched_getaffinity gettid exit exit_group membarrier restart_syscall set_thread_area
            get_thread_area arch_prctl
            """, [Case("clone", [bits(0, threadFlag, threadFlag)])]),
        SyscallGroup(
            "its own signals", risk: 5, "handle signals and send them to itself", exposes: "nothing but itself",
            """
            rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause
            tgkill alarm getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
            """),
        SyscallGroup(
            "clocks and chance", risk: 5, "read clocks, sleep and get random numbers",
            exposes: "time that is exact enough to measure caches with",
            "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrandom"),
        SyscallGroup(
            "facts", risk: 5, "ask who and where it is, and what it may use",
            exposes: "the kernel's version, and how much memory and how many cores there are",
            """
            getpid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgid getpgrp getsid uname
            sysinfo getcpu getrusage getrlimit capget sched_getparam sched_getscheduler sched_getattr
            sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority ioprio_get get_mempolicy
            lsm_get_self_attr lsm_list_modules listns
            """,
            [Case("prlimit64", [SeccompPolicy.Condition(2, .equal, 0)])]
                + harmlessOperations.map { Case("prctl", [SeccompPolicy.Condition(0, .equal, $0)]) }),
        SyscallGroup(
            "restricting itself", risk: 10, "give up rights for good",
            exposes: "little: a filter of its own cannot widen the sandbox's",
            "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp"),
    ]

    private static let files: [SyscallGroup] = [
        SyscallGroup(
            "files: looking", risk: 30, "ask what files there are, in the paths that it is given",
            exposes: "names, sizes and dates; without namespaces, whether any path exists",
            """
            stat lstat statx access faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd statfs fstatfs
            ustat getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr getxattrat listxattrat
            name_to_handle_at file_getattr statmount listmount
            """, [Case("newfstatat", except: 3, [emptyPath])]),
        SyscallGroup(
            "files: reading", risk: 60, "open files to read them, in the paths that it is given",
            exposes: "what these paths hold, and the kernel's file systems as targets", "",
            [Case("openat", [bits(2, 3, 0)]), Case("open", [bits(1, 3, 0)])]),
        SyscallGroup(
            "files: changing", risk: 250, "create, write and remove files",
            exposes: "whatever other layers leave writable",
            """
            creat openat2 mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat
            mknod mknodat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat truncate ftruncate fallocate
            utime utimes utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
            setxattrat removexattrat file_setattr umask sync syncfs
            """,
            [
                Case("openat", [bits(2, 3, 1)]), Case("openat", [bits(2, 3, 2)]), Case("openat", [bits(2, 3, 3)]),
                Case("open", [bits(1, 3, 1)]), Case("open", [bits(1, 3, 2)]), Case("open", [bits(1, 3, 3)]),
            ]),
        SyscallGroup(
            "files: places", risk: 50, "change its working folder or root",
            exposes: "paths that are looked up elsewhere than expected", "chdir fchdir chroot"),
        SyscallGroup(
            "files: watching", risk: 60, "be told of what others do with files", exposes: "what other programs do",
            "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark"),
        SyscallGroup(
            "copies in the kernel", risk: 50, "have the kernel move data between descriptors",
            exposes: "kernel code that has had many mistakes", "sendfile copy_file_range splice tee vmsplice"),
        SyscallGroup(
            "asynchronous input and output", risk: 100, "queue reads and writes in the kernel",
            exposes: "kernel code that few programs use",
            "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents"),
        SyscallGroup(
            "io_uring", risk: 400, "queue system calls in memory, where no filter sees them",
            exposes: "most other groups at once, and much kernel code",
            "io_uring_setup io_uring_enter io_uring_register"),
        SyscallGroup(
            "devices", risk: 400, "make any request to devices and terminals",
            exposes: "the drivers in the kernel, and with TIOCSTI the owner's terminal", "",
            [Case("ioctl", except: 1, Set(harmlessRequests))]),
    ]

    private static let outward: [SyscallGroup] = [
        SyscallGroup(
            "sockets that it has", risk: 10, "use sockets and pipes without naming anybody",
            exposes: "nothing beyond who is at their other end",
            "socketpair pipe pipe2 getsockname getpeername getsockopt shutdown",
            [
                Case("sendto", [SeccompPolicy.Condition(4, .equal, 0)]),
                Case("recvfrom", [SeccompPolicy.Condition(4, .equal, 0)]),
            ]),
        SyscallGroup(
            "network", risk: 400, "make sockets, connect them, and be connected to",
            exposes: "other machines, local services, and the kernel's network code",
            "socket connect bind listen accept accept4 setsockopt",
            [
                Case("sendto", [SeccompPolicy.Condition(4, .notEqual, 0)]),
                Case("recvfrom", [SeccompPolicy.Condition(4, .notEqual, 0)]),
            ]),
        SyscallGroup(
            "messages with descriptors", risk: 150, "send and receive messages that can carry descriptors",
            exposes: "whatever others hand over, past every check of paths", "sendmsg recvmsg sendmmsg recvmmsg"),
        SyscallGroup(
            "System V and POSIX queues", risk: 150, "exchange messages and memory by number or by name",
            exposes: "programs that use the same names, and memory that outlives the program",
            """
            shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
            mq_timedsend mq_timedreceive mq_notify mq_getsetattr
            """),
    ]

    private static let processes: [SyscallGroup] = [
        SyscallGroup(
            "new processes", risk: 150, "start processes of its own",
            exposes: "limits that hold for one process only", "fork vfork clone3 wait4 waitid setsid setpgid",
            [Case("clone", [bits(0, threadFlag, 0)])]),
        SyscallGroup(
            "other programs", risk: 250, "become another program",
            exposes: "programs that nobody hashed, set-user-id ones among them", "execve execveat uselib"),
        SyscallGroup(
            "new code", risk: 150, "run code that was not in its executable",
            exposes: "every mistake in the program, by which others' data becomes code", "",
            [
                Case("mmap", [bits(2, execute, execute)]), Case("mprotect", [bits(2, execute, execute)]),
                Case("pkey_mprotect", [bits(2, execute, execute)]),
            ]),
        SyscallGroup(
            "other processes", risk: 150, "signal, limit and slow down other processes",
            exposes: "the owner's other programs, where no namespace hides them",
            """
            kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal process_madvise process_mrelease
            move_pages migrate_pages setrlimit
            """, [Case("prlimit64", [SeccompPolicy.Condition(2, .notEqual, 0)])]),
        SyscallGroup(
            "scheduling", risk: 15, "choose cores and priorities for its threads",
            exposes: "the processor's time of other programs",
            """
            sched_setaffinity sched_setparam sched_setscheduler sched_setattr setpriority ioprio_set mbind
            set_mempolicy set_mempolicy_home_node
            """),
        SyscallGroup(
            "tracing", risk: 500, "read and steer other processes", exposes: "everything that they know and may do",
            "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd lookup_dcookie"),
        SyscallGroup(
            "privileges", risk: 250, "change its user, its capabilities and how the kernel treats it",
            exposes: "rights that other layers took away",
            """
            setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset
            lsm_set_self_attr
            """, [Case("prctl", except: 0, Set(harmlessOperations))]),
        SyscallGroup(
            "unusual memory", risk: 200, "use memory in ways that few programs do",
            exposes: "kernel code that has helped in many attacks",
            """
            userfaultfd memfd_secret remap_file_pages modify_ldt personality mlock mlock2 mlockall munlock munlockall
            pkey_alloc pkey_free map_shadow_stack
            """, [Case("pkey_mprotect", [bits(2, execute, 0)])]),
    ]

    private static let system: [SyscallGroup] = [
        SyscallGroup(
            "keys", risk: 250, "use the kernel's keyrings", exposes: "keys of other programs of the same user",
            "add_key request_key keyctl"),
        SyscallGroup(
            "namespaces and mounts", risk: 500, "make namespaces, and mount file systems",
            exposes: "the kernel code that only administrators reach otherwise",
            """
            unshare setns mount umount2 pivot_root open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick
            mount_setattr open_by_handle_at
            """),
        SyscallGroup(
            "BPF and perf", risk: 500, "load programs into the kernel, and watch it work",
            exposes: "the kernel itself, and what others compute", "bpf perf_event_open"),
        SyscallGroup(
            "kernel configuration", risk: 600, "load modules, set clocks, reboot, and read the kernel's log",
            exposes: "the whole machine",
            """
            init_module finit_module delete_module create_module get_kernel_syms query_module kexec_load
            kexec_file_load reboot swapon swapoff sethostname setdomainname iopl ioperm acct quotactl quotactl_fd
            settimeofday clock_settime clock_adjtime adjtimex syslog _sysctl sysfs vhangup nfsservctl
            """),
        SyscallGroup(
            "obsolete", risk: 20, "make calls that the kernel does not have any more",
            exposes: "nothing on most kernels",
            "getpmsg putpmsg afs_syscall tuxcall security vserver"),
    ]
}
