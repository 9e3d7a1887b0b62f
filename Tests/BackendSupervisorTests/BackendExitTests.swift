import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("BackendExit")
struct BackendExitTests {
    @Test("a signal is named, whether the launcher or the backend in it was hit")
    func signals() {
        let words = "was killed by signal 11 (SIGSEGV)"
        #expect(BackendExit(.signalled(11), lastLogLine: nil).words == words)
        #expect(BackendExit(.exited(139), lastLogLine: nil).words == words)
        #expect(BackendExit(.exited(128 + 40), lastLogLine: nil).words == "was killed by signal 40")
        #expect(!BackendExit(.signalled(11), lastLogLine: nil).isForOwner)
    }

    @Test("a code of the backend's own is told as it is")
    func codes() {
        #expect(BackendExit(.exited(0), lastLogLine: "bye").words == "exited with code 0")
        #expect(BackendExit(.exited(255), lastLogLine: nil).words == "exited with code 255")
    }

    @Test("a refusal of the sandbox is told in the launcher's words, and is for the owner")
    func refusal() {
        let exit = BackendExit(.exited(125), lastLogLine: "hearth-sandbox: unshare: Operation not permitted")
        #expect(exit.words == "was not started: hearth-sandbox: unshare: Operation not permitted")
        #expect(exit.isForOwner)
        #expect(BackendExit(.exited(125), lastLogLine: nil).words.contains("the sandbox could not be set up"))
    }
}
