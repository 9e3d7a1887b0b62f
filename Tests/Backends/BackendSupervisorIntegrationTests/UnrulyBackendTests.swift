import BackendIPC
import EventLoop
import Foundation
import LaunchPlan
import LinuxSystem
import TestPlaces
import Testing

@testable import BackendSupervisor

/// Executables that are no backends, or bad ones; shell scripts, so that each says exactly what the test means.
@Suite("Unruly backends", .timeLimit(.minutes(1)))
@IOLoop
struct UnrulyBackendTests {
    private let hello = BackendMessage.hello(Hello(name: "script", version: "1", capabilities: ["count_tokens"]))
    private let loaded = BackendMessage.loaded(Loaded(maxContextTokens: 100, maxSequences: 8))

    private func withBench(
        _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench {
            $0.backoffFirstMilliseconds = 60_000
            adjust(&$0)
        }
        try await bench.use(body)
    }

    @Test("one that never says Hello is ended in time")
    func noHello() async throws {
        try await withBench {
            $0.helloMilliseconds = 100
        } _: { bench in
            try bench.addScript("exec sleep 1000")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.contains("sent no Hello within 100 ms"))
        }
    }

    @Test("one that ends at once is told with its code, and how often that came")
    func endsAtOnce() async throws {
        try await withBench {
            $0.backoffFirstMilliseconds = 1
            $0.backoffMaxMilliseconds = 1
        } _: { bench in
            try bench.addScript("echo no luck; exit 3")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.restarts >= 2 && backend.state == .backingOff && backend.pid == 0 }
            let words = "exited with code 3; its last words were 'no luck'; restart after 1 ms ("
            #expect(backend.detail.contains(words), "\(backend.detail)")
            #expect(backend.recentLog.filter { $0 == "no luck" }.count >= 3)
        }
    }

    @Test("what the host stands in the way of is tried again at a slow pace, with the reason and the time")
    func hostObstacle() async throws {
        try await withBench {
            $0.hostRetryMilliseconds = 20
        } _: { bench in
            let failure = LaunchFailure("user-namespace: unshare: Operation not permitted", isTransient: false)
            try bench.addLauncher(saying: failure)
            let backend = try await bench.start(until: .failed)
            await bench.until { backend.recentLog.count >= 3 }
            let words = "Operation not permitted; the next try is in 0 s; to try again: touch"
            #expect(bench.story.contains { $0.contains(words) })
        }
    }

    @Test("a setting of the kernel that changes has what failed tried again at once")
    func hostSetting() async throws {
        let folder = TemporaryFolder()
        defer { folder.remove() }
        let bench = try Workbench(hostSettings: [folder.write("setting", "0")])
        try bench.addLauncher(saying: LaunchFailure("user-namespace: unshare: not permitted", isTransient: false))
        let backend = try await bench.start(until: .failed)
        await bench.supervisor.rescan()
        await bench.supervisor.rescan()
        #expect(backend.state == .failed && backend.recentLog.count == 1, "nothing changed")
        folder.write("setting", "100")
        await bench.supervisor.rescan()
        #expect(backend.state == .starting)
        await bench.until { backend.state == .failed && backend.recentLog.count == 2 }
        await bench.close()
    }

    @Test("a launcher that refuses on its own pipe is quoted, and not asked again in a hurry")
    func launcherRefuses() async throws {
        try await withBench { bench in
            let failure = LaunchFailure("user-namespace: unshare: Operation not permitted", isTransient: false)
            try bench.addLauncher(saying: failure)
            let backend = try await bench.start(until: .failed)
            #expect(backend.detail.hasPrefix("was not started: user-namespace: unshare: Operation not permitted"))
            #expect(backend.restarts == 0)
        }
    }

    @Test("one whose weights are cut short under it is ended by SIGBUS, and its owner reads why")
    func weightsCutShort() async throws {
        try await withBench { try await $0.expectCutWeightsAreTold() }
    }

    @Test("a launcher that lacks something for the moment is asked again")
    func launcherLacks() async throws {
        try await withBench { bench in
            try bench.addLauncher(saying: LaunchFailure("fork: Cannot allocate memory", isTransient: true))
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(
                backend.detail == "was not started: fork: Cannot allocate memory; restart after 60000 ms (1 in a row)")
        }
    }

    @Test("a launcher that says what none says is killed, and its owner is told", arguments: [false, true])
    func brokenLauncher(hasStarted: Bool) async throws {
        try await withBench { bench in
            let reports = hasStarted ? [KeeperReport.started.encoded(), [9]] : [[9]]
            try bench.addLauncher(saying: reports, then: "exec sleep 1000")
            let backend = try await bench.start(until: hasStarted ? .backingOff : .failed)
            await bench.until { backend.pid == 0 }
            let begin = hasStarted ? "was ended by its launcher" : "was not started"
            #expect(backend.detail.hasPrefix("\(begin): the launcher says what no launcher says (report: of the"))
            #expect(backend.detail.contains("install hearth and hearth-sandbox together"))
        }
    }

    @Test("how a backend ended is what its keeper says, whatever the launcher's exit status is")
    func keeperTellsEnd() async throws {
        try await withBench { bench in
            let use = ResourceUse(processorMicroseconds: 1, memoryBytes: 1)
            let reports: [KeeperReport] = [.started, .ended(.signalled(11), use)]
            try bench.addLauncher(saying: reports.map { $0.encoded() }, then: "exit 3")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.hasPrefix("was killed by signal 11 (SIGSEGV)"))
            #expect(backend.lastExit == .signalled(11))
        }
    }

    @Test("a backend that ends as a launcher does, and says what a launcher says, has crashed and nothing else")
    func playsLauncher() async throws {
        try await withBench { bench in
            try bench.addScript("echo 'hearth-sandbox: no user namespaces' >&2; exit 125")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.hasPrefix("exited with code 125; its last words were 'hearth-sandbox: no user"))
            #expect(backend.detail.hasSuffix("restart after 60000 ms (1 in a row)"))
        }
    }

    @Test("one that dies for lack of memory says so, with the memory that its manifest gives it")
    func lacksMemory() async throws {
        try await withBench { bench in
            try bench.write("script.json", #"{"memoryMebibytes": 256}"#)
            let line = "terminate called after throwing an instance of 'std::bad_alloc'"
            try bench.addScript("echo \"\(line)\"; kill -ABRT $$")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.contains("(SIGABRT); it lacked memory ("))
            #expect(backend.detail.contains("it may have 256 MiB beside its weights (memoryMebibytes in script.json)"))
        }
    }

    @Test("one that speaks only later revisions is rejected in words")
    func laterRevision() async throws {
        try await withBench { bench in
            let later = BackendMessage.hello(Hello(minRevision: 8, maxRevision: 9, name: "script", version: "1"))
            try bench.addScript(saying: [later], then: "exec sleep 1000")
            let backend = try await bench.start(until: .failed)
            #expect(backend.detail.contains("speaks revisions 8 to 9"))
        }
    }

    @Test(
        "noise on the socket ends it", arguments: ["cat /dev/zero >&3", "yes >&3", "printf '\\377\\377\\377\\377' >&3"])
    func noise(script: String) async throws {
        try await withBench { bench in
            try bench.addScript(script + "; exec sleep 1000")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.contains("broke the contract"))
        }
    }

    @Test("one that sends batches of nothing is ended")
    func emptyBatches() async throws {
        try await withBench { bench in
            let nothing = BackendMessage.tokens(TokenBatchView(UnsafeRawBufferPointer(start: nil, count: 0)))
            try bench.addScript(saying: [hello, loaded, nothing], then: "exec sleep 1000")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.contains("a TokenBatch holds no run"))
        }
    }

    @Test("one that closes its socket and stays is ended")
    func closesSocket() async throws {
        try await withBench {
            $0.exitMilliseconds = 50
        } _: { bench in
            try bench.addScript(saying: [hello, loaded], then: "exec 3>&-; exec sleep 1000")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(!backend.detail.isEmpty)
        }
    }

    @Test("a flood of output is kept within bounds while the others are served")
    func logFlood() async throws {
        try await withBench { bench in
            try bench.addEcho()
            try bench.addScript("exec yes 'spam spam spam spam spam spam spam spam'")
            try bench.supervisor.start()
            let echo = try #require(bench.supervisor.backend(model: "echo"))
            let script = try #require(bench.supervisor.backend(model: "script"))
            await bench.until { echo.state == .ready }
            let collector = bench.collect()
            let paced = try request(maxTokens: 100, options: ["tokens_per_second": "200"])
            _ = echo.begin(request: paced, credit: 100, handler: collector)
            await bench.until { collector.finish != nil }
            #expect(collector.tokens.count == 100)
            let log = script.recentLog
            #expect(log.count <= 501)
            #expect(log.first?.contains("earlier lines were dropped") == true)
        }
    }

    @Test("a log of line ends, and one that is written byte by byte, are read no faster than others")
    func logOfLineEnds() async throws {
        try await withBench {
            $0.logReadLinesMax = 50
        } _: { bench in
            try bench.addEcho()
            try bench.addScript("exec yes ''")
            try bench.supervisor.start()
            let echo = try #require(bench.supervisor.backend(model: "echo"))
            let script = try #require(bench.supervisor.backend(model: "script"))
            await bench.until { echo.state == .ready }
            let collector = bench.collect()
            let paced = try request(maxTokens: 100, options: ["tokens_per_second": "200"])
            _ = echo.begin(request: paced, credit: 100, handler: collector)
            await bench.until { collector.finish != nil }
            #expect(collector.tokens.count == 100)
            #expect(script.recentLog.first?.contains("earlier lines were dropped") == true)
        }
    }

    @Test("one that does not read is given up, and what waits for it stays bounded")
    func neverReads() async throws {
        try await withBench {
            $0.pingIntervalMilliseconds = 1_000
            $0.outputBytesMax = 1 << 20
        } _: { bench in
            let large = try request(String(repeating: "word ", count: 100_000))
            try bench.addScript(saying: [hello, loaded], then: "exec sleep 1000")
            let backend = try await bench.start()
            let collector = bench.collect()
            let begun = (0..<8).filter { _ in backend.begin(request: large, credit: 1, handler: collector) != nil }
            #expect(begun.count == 3)
            await bench.until { backend.state == .backingOff }
            #expect(collector.ends == 3)
            #expect(backend.detail.contains("answered no Ping for 3000 ms"))
        }
    }

    @Test("when one has read what waited for it, whoever waits for a sequence hears of it")
    func readsLate() async throws {
        try await withBench {
            $0.outputBytesMax = 1 << 20
        } _: { bench in
            let large = try request(String(repeating: "word ", count: 100_000))
            // Five sequences are free all the time, and none of the three that run ever ends.
            try bench.addScript(
                saying: [hello, loaded],
                then: "until [ -e '\(bench.folder)/go' ]; do sleep 0.02; done; exec cat <&3 >/dev/null")
            let backend = try await bench.start()
            let collector = bench.collect()
            while backend.begin(request: large, credit: 1, handler: collector) != nil {}
            #expect(backend.runningSequences == 3)
            var hasRoom = false
            bench.supervisor.onAvailable = { _ in
                hasRoom = true
                bench.check()
            }
            try bench.write("go", "")
            await bench.until { hasRoom }
            #expect(backend.begin(request: large, credit: 1, handler: collector) != nil)
        }
    }

    @Test("output that could steer a terminal is made harmless")
    func terminalTricks() async throws {
        try await withBench { bench in
            try bench.addScript("printf '\\033[2Jfake: all is well\\n' >&2; exit 125")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.pid == 0 }
            #expect(backend.detail.contains("fake: all is well"))
            #expect(!backend.detail.unicodeScalars.contains("\u{1B}"))
            #expect(!backend.recentLog.joined().unicodeScalars.contains("\u{1B}"))
        }
    }
}
