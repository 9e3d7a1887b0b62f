import LaunchPlan
import SandboxPolicy
import SeccompFilter
import TestPlaces
import Testing

/// What `Policies/` promises, checked on the compiled filters.
struct ShippedPolicyTests {
    static let names = ["strict", "inference-cpu", "swift-runtime", "python", "http-bridge", "inference-gpu"]
    /// Those that open no file.
    static let closed = ["strict", "inference-cpu"]

    private func policy(_ name: String) throws -> SeccompPolicy {
        try SeccompPolicy.named(name, in: Repository.policies)
    }

    private func filter(_ name: String) throws -> FilterProgram { try FilterProgram(policy(name).compile()) }

    private func number(_ name: String) throws -> UInt32 { try #require(SyscallNames.number(of: name)) }

    @Test("these are all, each rule has a comment and an effect, and nothing is allowed by default")
    func schema() throws {
        #expect(try PolicyFolder(Repository.policies).names() == ShippedPolicyTests.names.sorted())
        for name in ShippedPolicyTests.names {
            let check = PolicyCheck(file: "\(Repository.policies)/\(name).json", demandsComments: true)
            #expect(check.error == nil)
            // On arm64 some of the names are those of older calls that only x86-64 has.
            #expect(check.warnings.filter { !$0.contains("only other architectures") } == [])
            #expect(try policy(name).defaultAction == .errno(1))
        }
    }

    @Test("a backend reads, writes and starts threads", arguments: names)
    func allowed(name: String) throws {
        let filter = try filter(name)
        #expect(filter.verdict(Call.read) == .allow)
        #expect(filter.verdict(Call.write) == .allow)
        // CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS | PARENT_SETTID | CHILD_CLEARTID: glibc's.
        #expect(filter.verdict(Call.clone, [0x3d0f00]) == .allow)
        // musl adds CLONE_DETACHED.
        #expect(filter.verdict(Call.clone, [0x7d0f00]) == .allow)
        // PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE.
        #expect(filter.verdict(Call.mmap, [0, 4096, 3, 0x4022]) == .allow)
        #expect(filter.verdict(Call.mprotect, [0, 4096, 3]) == .allow)
        #expect(filter.verdict(Call.prctl, [15]) == .allow)
        #expect(filter.verdict(Call.tgkill, [2, 5, 6]) == .allow)
        #expect(filter.verdict(Call.sendto, [3, 0, 0, 0, 0]) == .allow)
        // MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE.
        for advice in [4, 8, 14] as [UInt64] {
            #expect(filter.verdict(try number("madvise"), [0, 4096, advice]) == .allow)
        }
    }

    @Test(
        "reading and writing are decided without looking at arguments, which the kernel then remembers",
        arguments: names)
    func plainRules(name: String) throws {
        let effective = try EffectivePolicy(policy(name))
        for call in ["read", "write", "readv", "writev", "futex", "epoll_wait"] {
            guard let number = SyscallNames.number(of: call) else { continue }
            #expect(effective.reach(of: number) == .always, "\(call)")
        }
    }

    @Test("no network, processes, tracing, privileges or memory that is written and run", arguments: names)
    func denied(name: String) throws {
        let filter = try filter(name)
        for call in [
            "socket", "connect", "bind", "sendmsg", "recvmsg", "execve", "kill", "tkill", "ptrace", "unshare", "setns",
            "mount", "bpf", "perf_event_open", "userfaultfd", "keyctl", "memfd_create", "setuid", "seccomp", "wait4",
            "process_vm_readv", "pidfd_open", "vmsplice", "personality", "shmget", "mlock", "signalfd4", "setpriority",
        ] { #expect(filter.verdict(try number(call)) == .errno(1), "\(call)") }
        // SIGCHLD alone is fork; a thread in a new network or user namespace is no thread.
        #expect(filter.verdict(Call.clone, [17]) == .errno(1))
        #expect(filter.verdict(Call.clone, [0x3d0f00 | 0x4000_0000]) == .errno(1))
        #expect(filter.verdict(Call.clone, [0x3d0f00 | 0x1000_0000]) == .errno(1))
        #expect(filter.verdict(Call.clone3) == .errno(38))
        #expect(filter.verdict(try number("io_uring_setup")) == .errno(38))
        #expect(filter.verdict(Call.mmap, [0, 4096, 7, 0x22]) == .errno(1), "writable code")
        #expect(filter.verdict(Call.mmap, [0, 4096, 5, 0x22]) == .errno(1), "code from nowhere")
        #expect(filter.verdict(Call.mmap, [0, 4096, 7, 0x2]) == .errno(1), "writable code from a file")
        #expect(filter.verdict(Call.mmap, [0, 4096, 5, 0x1]) == .errno(1), "shared code")
        #expect(filter.verdict(Call.mmap, [0, 4096, 3, 0x21]) == .errno(1), "shared anonymous memory")
        #expect(filter.verdict(Call.mprotect, [0, 4096, 5]) == .errno(1))
        #expect(filter.verdict(Call.prctl, [1, 0]) == .errno(1), "PR_SET_PDEATHSIG")
        #expect(filter.verdict(Call.tgkill, [1, 1, 9]) == .errno(1), "another process")
        #expect(filter.verdict(Call.prlimit64, [0, 7, 0x1000]) == .errno(1), "a new limit")
        #expect(filter.verdict(Call.prlimit64, [1, 7, 0]) == .errno(1), "another's limits")
        #expect(filter.verdict(Call.fcntl, [0, 8, 1]) == .errno(1), "F_SETOWN")
        #expect(filter.verdict(Call.sendto, [3, 0, 0, 0, 0x1000]) == .errno(1), "an address")
        #expect(filter.verdict(try number("madvise"), [0, 4096, 12]) == .errno(1), "MADV_MERGEABLE")
        // O_CREAT | O_WRONLY, O_TMPFILE | O_RDWR.
        #expect(filter.verdict(Call.openat, [0, 0, 0o101]) != .allow)
        #expect(filter.verdict(Call.openat, [0, 0, 0o2020_0002]) != .allow)
    }

    /// Without a control group a backend is frozen by SIGSTOP, and in tier reduced by its group of processes.
    @Test("what is stopped by a signal has ordered nothing that wakes it, and is still in its group", arguments: names)
    func staysStopped(name: String) throws {
        let filter = try filter(name)
        for call in ["timer_create", "timer_settime", "ptrace", "mq_notify", "setsid", "setpgid", "rt_sigqueueinfo"] {
            #expect(filter.verdict(try number(call)) == .errno(1), "\(call)")
        }
        // F_SETOWN, F_SETSIG, F_SETOWN_EX; PR_SET_PDEATHSIG.
        for command in [8, 10, 15] as [UInt64] { #expect(filter.verdict(Call.fcntl, [0, command, 18]) == .errno(1)) }
        #expect(filter.verdict(Call.prctl, [1, 18]) == .errno(1))
        // A new process would tell its parent of its end with the signal in the lowest byte.
        for call in ["fork", "vfork"] { #expect(SyscallNames.number(of: call).map { filter.verdict($0) } != .allow) }
        #expect(filter.verdict(Call.clone, [18]) == .errno(1))
    }

    @Test("policies for static programs open nothing, map no code, and make no descriptor", arguments: closed)
    func closedOnes(name: String) throws {
        let filter = try filter(name)
        #expect(filter.verdict(Call.openat) == .errno(13))
        #expect(filter.verdict(try number("newfstatat"), [0, 0, 0, 0]) == .errno(1), "a path")
        #expect(filter.verdict(Call.mmap, [0, 4096, 5, 0x2]) == .errno(1), "code from a file")
        #expect(filter.verdict(Call.fcntl, [0, 0, 0]) == .errno(1), "F_DUPFD")
        for call in ["dup", "ioctl", "socketpair", "pipe2"] { #expect(filter.verdict(try number(call)) == .errno(1)) }
    }

    @Test("http-bridge accepts on the socket that was handed over, and makes none")
    func bridge() throws {
        let filter = try filter("http-bridge")
        #expect(filter.verdict(try number("accept4"), [8]) == .allow)
        #expect(filter.verdict(try number("accept4"), [9]) == .errno(1))
        // SOL_SOCKET; TCP_NODELAY; IP_ADD_MEMBERSHIP.
        #expect(filter.verdict(try number("setsockopt"), [9, 1, 13]) == .allow)
        #expect(filter.verdict(try number("setsockopt"), [9, 6, 1]) == .allow)
        #expect(filter.verdict(try number("setsockopt"), [9, 0, 35]) == .errno(1))
        #expect(filter.verdict(Call.openat, [0, 0, 0o200_0000]) == .errno(1), "no file")
        for name in Self.names where name != "http-bridge" {
            #expect(try self.filter(name).verdict(number("accept4"), [8]) == .errno(1), "\(name)")
        }
    }

    @Test("only inference-cpu and those that build on it map and read weights")
    func weights() throws {
        for name in ["inference-cpu", "python", "inference-gpu"] {
            #expect(try filter(name).verdict(Call.mmap, [0, 4096, 1, 1, 7]) == .allow)
            #expect(try filter(name).verdict(Call.pread64, [7]) == .allow)
        }
        for name in ["inference-cpu", "python"] {
            #expect(try filter(name).verdict(Call.mmap, [0, 4096, 3, 1, 7]) == .errno(1), "a writable shared file")
        }
        #expect(try filter("strict").verdict(Call.mmap, [0, 4096, 1, 1, 7]) == .errno(1))
        #expect(try filter("strict").verdict(Call.pread64, [7]) == .errno(1))
    }

    @Test("runtimes read files and map them as code, and open none to write", arguments: ["swift-runtime", "python"])
    func runtimes(name: String) throws {
        let filter = try filter(name)
        // O_RDONLY | O_CLOEXEC, and with O_DIRECTORY.
        #expect(filter.verdict(Call.openat, [0, 0, 0o200_0000]) == .allow)
        #expect(filter.verdict(Call.openat, [0, 0, 0o220_0000]) == .allow)
        for flags in [0o1, 0o2, 0o100, 0o1000, 0o2000] as [UInt64] {
            #expect(filter.verdict(Call.openat, [0, 0, flags]) == .errno(1))
        }
        #expect(filter.verdict(Call.mmap, [0, 4096, 5, 0x802, 4]) == .allow)
        #expect(try LaunchPlanner.mapsFilesAsCode(policy(name).compile()))
        #expect(filter.verdict(Call.ioctl, [1, 0x5412]) == .errno(1), "TIOCSTI")
        #expect(filter.verdict(Call.ioctl, [1, 1 << 32 | 0x5412]) == .errno(1), "TIOCSTI, with high bits")
    }

    @Test("python makes pairs of sockets that lead nowhere, and asks terminals nothing but what they are")
    func python() throws {
        let filter = try filter("python")
        #expect(filter.verdict(try number("socketpair"), [1, 1]) == .allow)
        #expect(filter.verdict(try number("socketpair"), [2, 1]) == .errno(1))
        for request in [0x5401, 0x5421, 0x5451] as [UInt64] {
            #expect(filter.verdict(Call.ioctl, [0, request]) == .allow)
            #expect(filter.verdict(Call.ioctl, [0, request | 1 << 32]) == .errno(1))
        }
        #expect(filter.verdict(Call.sendto, [9, 0, 0, 0, 0]) == .allow)
    }

    @Test("only inference-gpu lets requests to devices pass, and it declares its risks")
    func devices() throws {
        for name in ShippedPolicyTests.names {
            let isForDevices = name == "inference-gpu"
            let filter = try filter(name)
            #expect((filter.verdict(Call.ioctl, [5, 0xc020_462a]) == .allow) == isForDevices)
            #expect((filter.verdict(Call.openat, [0, 0, 0o2]) == .allow) == isForDevices)
            #expect(try policy(name).rules.flatMap(\.declaredRisks).isEmpty != isForDevices)
        }
        #expect(try filter("inference-gpu").verdict(Call.mmap, [0, 4096, 3, 1, 7]) == .allow)
    }
}
