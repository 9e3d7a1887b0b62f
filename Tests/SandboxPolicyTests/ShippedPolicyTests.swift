import LaunchPlan
import SandboxPolicy
import Testing

/// What `Policies/` promises, checked on the compiled filters.
struct ShippedPolicyTests {
    static let folder = String(#filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }) + "/Policies"
    static let names = ["strict", "inference-cpu"]

    private func filter(_ name: String) throws -> FilterProgram {
        try FilterProgram(SeccompPolicy.named(name, in: ShippedPolicyTests.folder).compile())
    }

    @Test("every rule has a comment, and nothing is allowed by default", arguments: names)
    func comments(name: String) throws {
        let policy = try SeccompPolicy.named(name, in: ShippedPolicyTests.folder)
        #expect(policy.defaultAction == .errno(1))
        for rule in policy.rules { #expect(rule.comment?.isEmpty == false, "line \(rule.line)") }
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
    }

    @Test("no files, network, processes, tracing, privileges or new code", arguments: names)
    func denied(name: String) throws {
        let filter = try filter(name)
        for call in [
            Call.socket, Call.connect, Call.sendmsg, Call.execve, Call.kill, Call.ptrace, Call.unshare, Call.mount,
            Call.bpf, Call.ioctl, Call.dup,
        ] { #expect(filter.verdict(call) == .errno(1), "call \(call)") }
        #expect(filter.verdict(Call.openat) == .errno(13))
        // SIGCHLD alone is fork; a thread in a new network or user namespace is no thread.
        #expect(filter.verdict(Call.clone, [17]) == .errno(1))
        #expect(filter.verdict(Call.clone, [0x3d0f00 | 0x4000_0000]) == .errno(1))
        #expect(filter.verdict(Call.clone, [0x3d0f00 | 0x1000_0000]) == .errno(1))
        #expect(filter.verdict(Call.clone3) == .errno(38))
        #expect(filter.verdict(Call.mmap, [0, 4096, 7, 0x22]) == .errno(1), "writable code")
        #expect(filter.verdict(Call.mmap, [0, 4096, 5, 0x2]) == .errno(1), "code from a file")
        #expect(filter.verdict(Call.mmap, [0, 4096, 3, 0x21]) == .errno(1), "shared anonymous memory")
        #expect(filter.verdict(Call.mmap, [0, 4096, 3, 0x1]) == .errno(1), "a writable shared file")
        #expect(filter.verdict(Call.mprotect, [0, 4096, 5]) == .errno(1))
        #expect(filter.verdict(Call.prctl, [1, 0]) == .errno(1), "PR_SET_PDEATHSIG")
        #expect(filter.verdict(Call.tgkill, [1, 1, 9]) == .errno(1), "another process")
        #expect(filter.verdict(Call.prlimit64, [0, 7, 0x1000]) == .errno(1), "a new limit")
        #expect(filter.verdict(Call.fcntl, [0, 8, 1]) == .errno(1), "F_SETOWN")
        #expect(filter.verdict(Call.fcntl, [0, 0, 0]) == .errno(1), "F_DUPFD")
        #expect(filter.verdict(Call.sendto, [3, 0, 0, 0, 0x1000]) == .errno(1), "an address")
    }

    @Test("only inference-cpu maps and reads weights")
    func weights() throws {
        #expect(try filter("inference-cpu").verdict(Call.mmap, [0, 4096, 1, 1, 7]) == .allow)
        #expect(try filter("inference-cpu").verdict(Call.pread64, [7]) == .allow)
        #expect(try filter("strict").verdict(Call.mmap, [0, 4096, 1, 1, 7]) == .errno(1))
        #expect(try filter("strict").verdict(Call.pread64, [7]) == .errno(1))
    }
}
