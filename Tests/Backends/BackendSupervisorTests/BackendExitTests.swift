import LaunchPlan
import LinuxSystem
import SandboxLaunch
import Testing

@testable import BackendSupervisor

@Suite("BackendExit")
struct BackendExitTests {
    private let memory = "256 MiB beside its weights (memoryMebibytes in llama.json)"

    private func ending(
        _ status: LinuxSystem.ExitStatus, _ adjust: (inout BackendExit.Circumstances) -> Void = { _ in }
    ) -> BackendExit {
        var known = BackendExit.Circumstances(memory: memory)
        adjust(&known)
        return BackendExit(status, known)
    }

    @Test("a signal is named")
    func signals() {
        #expect(ending(.signalled(11)).words == "was killed by signal 11 (SIGSEGV)")
        #expect(ending(.signalled(40)).words == "was killed by signal 40")
        #expect(!ending(.signalled(11)).isForOwner)
    }

    @Test("a code of the backend's own is told as it is, also one that launchers use, or shells for signals")
    func codes() {
        for code in [0, 1, 124, 125, 134, 139, 255] as [CInt] {
            let told = ending(.exited(code)) { $0.lines = ["hearth-sandbox: user-namespace: not permitted"] }
            #expect(told.words == "exited with code \(code)")
            #expect(!told.isForOwner, "a backend can exit with \(code) and write this line itself")
        }
    }

    @Test("that it was not started says the launcher, on its own socket, and whether another try may succeed")
    func verdicts() {
        let refused = ending(.exited(125)) {
            $0.launchFailure = LaunchFailure("user-namespace: unshare: Operation not permitted", isTransient: false)
            $0.lines = ["it wrote this"]
        }
        #expect(refused.words == "was not started: user-namespace: unshare: Operation not permitted")
        #expect(refused.detail == refused.words)
        #expect(refused.isForOwner && refused.isOfHost)
        let lacking = ending(.exited(125)) {
            $0.launchFailure = LaunchFailure("fork: Cannot allocate", isTransient: true)
        }
        #expect(!lacking.isForOwner && !lacking.isOfHost)
        let later = ending(.exited(125)) {
            $0.launchFailure = LaunchFailure("lifeline: wait", isTransient: true, hasBegun: true)
        }
        #expect(later.words == "was ended by its launcher: lifeline: wait")
    }

    @Test("the owner reads what it wrote last; everybody else does not")
    func lastWords() {
        let told = ending(.exited(3)) { $0.lines = ["loading", "no such tensor: \u{1B}[2J", ""] }
        #expect(told.words == "exited with code 3")
        #expect(told.detail == "exited with code 3; its last words were 'no such tensor: \u{FFFD}[2J'")
        let long = ending(.exited(3)) { $0.lines = [String(repeating: "x", count: 1_000)] }
        #expect(long.detail.count < 300)
    }

    @Test(
        "a death for lack of memory says so, with the memory in force, whoever told of it",
        arguments: [
            "terminate called after throwing an instance of 'std::bad_alloc'", "mmap: Cannot allocate memory",
            "ggml: failed to allocate buffer of size 1073741824", "MemoryError", "Fatal error: OUT OF MEMORY",
        ])
    func memoryWords(line: String) {
        let told = ending(.signalled(6)) { $0.lines = ["loading", line, "Aborted"] }
        #expect(told.words == "was killed by signal 6 (SIGABRT)")
        #expect(told.detail == "\(told.words); it lacked memory ('\(line)'): it may have \(memory)")
    }

    @Test("a death of its control group is one of memory, and no line is needed to tell")
    func controlGroup() {
        let told = ending(.signalled(9)) { $0.ranOutOfMemory = true }
        #expect(told.words == "ran out of memory")
        #expect(told.detail == "ran out of memory: it may have \(memory)")
        #expect(!told.isForOwner)
    }

    @Test("a silent abort while it loads names the memory that it may have; one of a loaded model does not guess")
    func silentAbort() {
        #expect(ending(.signalled(6)).detail.hasSuffix("when they get no memory: it may have \(memory)"))
        #expect(ending(.signalled(11)).detail.contains(memory))
        #expect(ending(.signalled(6)) { $0.wasReady = true }.detail == "was killed by signal 6 (SIGABRT)")
        #expect(ending(.signalled(15)).detail == "was killed by signal 15 (SIGTERM)")
    }

    @Test("an end by SIGBUS is that of a file that changed under it, where it had one")
    func bus() {
        let words = "was killed by signal 7 (SIGBUS)"
        let told = ending(.signalled(7)) { $0.weights = "/b/w.gguf" }
        #expect(told.words == words, "whoever is no owner reads no path")
        #expect(told.detail == "\(words); its weights, /b/w.gguf, changed under it or could not be read")
        #expect(ending(.signalled(7)).detail == words)
        #expect(!ending(.signalled(11)) { $0.weights = "/b/w.gguf" }.detail.contains("w.gguf"))
    }

    @Test("a kill that nobody here ordered may be the kernel's, for lack of memory")
    func killed() {
        #expect(ending(.signalled(9)).detail.contains("dmesg"))
    }

    @Test("one that ends before it was ready names the calls that were denied to it, the last one first")
    func deniedCalls() {
        let told = ending(.exited(1)) { $0.deniedCalls = ["mbind", "io_uring_setup", "bpf", "ptrace"] }
        #expect(told.detail == "exited with code 1; before, its filter denied mbind, io_uring_setup, bpf")
        let ready = ending(.exited(1)) {
            $0.deniedCalls = ["mbind"]
            $0.wasReady = true
        }
        #expect(ready.detail == "exited with code 1")
        #expect(ending(.exited(0)) { $0.deniedCalls = ["mbind"] }.detail == "exited with code 0")
        let trapped = ending(.signalled(31)) {
            $0.deniedCalls = ["mbind"]
            $0.wasReady = true
        }
        #expect(trapped.detail == "was killed by signal 31 (SIGSYS); before, its filter denied mbind")
    }
}
