import GRPC
import LinuxSystem
import Testing

@testable import HostAgent

struct UpgradeAttemptTests {
    private func attempt() -> UpgradeAttempt { UpgradeAttempt(program: "/opt/hearth", pid: 20) }

    @Test func `one that ends by itself is told with the reason that it wrote`() {
        let failure = attempt().failure(
            .exited(78), wrote: "2026 notice hearth: a line\nhearth: there is no setting 'x'\n", agent: 10)
        #expect(failure.code == .failedPrecondition)
        #expect(
            failure.message == "the new agent (/opt/hearth, pid 20) exited with status 78: there is no setting 'x'; "
                + "the agent with pid 10 goes on")
        let crash = attempt().failure(.signalled(11), wrote: "", agent: 10)
        #expect(crash.code == .internalError)
        #expect(
            crash.message.contains("ended by signal 11") && crash.message.hasSuffix("; the agent with pid 10 goes on"))
    }

    @Test func `one that is late or given up is ended once, and says so`() {
        var late = attempt()
        var isEnded = late.end(.late(milliseconds: 120_000))
        #expect(isEnded)
        isEnded = late.end(.givenUp)
        #expect(!isEnded)
        let failure = late.failure(.exited(78), wrote: "", agent: 10)
        #expect(failure.code == .internalError && failure.message.contains("within 120 s (upgradeMilliseconds)"))
        var givenUp = attempt()
        isEnded = givenUp.end(.givenUp)
        #expect(isEnded)
        #expect(givenUp.failure(.signalled(15), wrote: "", agent: 10).message.contains("nobody waits"))
    }

    @Test func `an agent that ends does not say that it goes on`() {
        var stopped = attempt()
        let isEnded = stopped.end(.stopped)
        #expect(isEnded)
        #expect(!stopped.failure(.signalled(15), wrote: "", agent: 10).message.contains("goes on"))
    }

    @Test func `one that has taken over is not ended`() {
        var attempt = attempt()
        let others = attempt.takesOver(21)
        #expect(!others && !attempt.hasTakenOver)
        let own = attempt.takesOver(20)
        #expect(own && attempt.hasTakenOver)
        let isEnded = attempt.end(.givenUp)
        #expect(!isEnded)
    }

    @Test func `the last lines are few, and one where a command gives its reason`() {
        #expect(UpgradeAttempt.lastLines("one\ntwo\nthree\nfour\n\n") == "two / three / four")
        #expect(UpgradeAttempt.lastLines("one\nhearth: because") == "because")
        #expect(UpgradeAttempt.lastLines("").isEmpty)
        #expect(UpgradeAttempt.lastLines(String(repeating: "x", count: 5_000)).count == 600)
    }
}

struct SuccessorCommandTests {
    private func arguments(
        _ words: [String], environment: [String: String] = [:], serviceState: String? = nil
    ) throws -> [String] {
        try SuccessorCommand.arguments(words, environment: environment, serviceState: serviceState)
    }

    @Test func `a command line is kept, and takes over once`() throws {
        let first = try arguments(["hearth", "serve", "--listen", "127.0.0.1:1", "--tls"])
        #expect(first == ["hearth", "serve", "--take-over", "--listen", "127.0.0.1:1", "--tls"])
        #expect(try arguments(first) == first)
    }

    @Test func `a service's state is named where nothing names it, because its user is not root any more`() throws {
        let state = "/var/lib/hearth/state"
        #expect(try arguments(["h", "serve"], serviceState: state) == ["h", "serve", "--take-over", "--state", state])
        for words in [["h", "serve", "--state", "/s"], ["h", "serve", "--state=/s"]] {
            #expect(try arguments(words, serviceState: state).filter { $0.hasPrefix("--state") }.count == 1)
        }
        #expect(try arguments(["h", "serve"], environment: ["HEARTH_STATE": "/s"], serviceState: state).count == 3)
    }

    @Test(arguments: [[], ["hearth"], ["hearth", "run"], ["hearth", "serve", "--until-closed", "4"]])
    func `an agent that belongs to another command is not replaced`(words: [String]) throws {
        let refusal = #expect(throws: Status.self) { try arguments(words) }
        #expect(refusal?.code == .failedPrecondition)
    }
}

struct SuccessorParentTests {
    @Test func `every report is understood as it was meant, and nothing else is one`() {
        let reports: [SuccessorParent.Report] = [
            .started(17), .failed("start /x: Exec format error"), .ended(.exited(78)), .ended(.signalled(9)),
        ]
        for report in reports { #expect(SuccessorParent.Report(report.bytes) == report) }
        for bytes in ["", "started", "started x", "ended 1", "exited"] {
            #expect(SuccessorParent.Report(Array(bytes.utf8)) == nil)
        }
        #expect(
            SuccessorParent.Report.failed(String(repeating: "x", count: 5_000)).bytes.count
                == SuccessorParent.wordBytesMax)
    }

    @Test func `a program that cannot be relied on is not started`() {
        for path in ["/nonexistent/hearth", "/tmp"] {
            #expect(throws: (any Error).self) {
                try StartedSuccessor(path, arguments: ["hearth", "serve"], environment: [:])
            }
        }
    }
}
