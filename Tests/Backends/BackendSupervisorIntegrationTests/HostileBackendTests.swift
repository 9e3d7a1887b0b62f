import BackendIPC
import EventLoop
import Foundation
import LaunchPlan
import Polling
import SeccompFilter
import TestPlaces
import Testing

@testable import BackendSupervisor

/// The executable `unruly` breaks the contract in one way at a time, held as the agent holds every backend. However it
/// behaves it ends, with a reason that its author can act on, and nothing of it is left.
@Suite("Hostile backends in the sandbox", .timeLimit(.minutes(2)), .enabled(if: geteuid() != 0))
@IOLoop
struct HostileBackendTests {
    /// What an agent's memory may grow by while one backend does its worst. Far above what a test run takes anyway, far
    /// below what a backend sends in that time.
    private static let growthKibibytesMax = 48 << 10

    private func withBench(
        policies: String = Repository.policies, _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(sandboxed: true, policies: policies) {
            $0.backoffFirstMilliseconds = 60_000
            adjust(&$0)
        }
        try await bench.use(body)
    }

    /// It is not running, its reason holds these words, and no process of it is left.
    private func expectEnded(_ backend: ManagedBackend, in bench: Workbench, _ words: String) async {
        await bench.until { backend.state == .backingOff && backend.pid == 0 }
        #expect(backend.detail.contains(words), "\(backend.detail) \(backend.recentLog)")
        #expect(backend.detail.contains("restart after 60000 ms (1 in a row)"))
        #expect(processes(named: backend.name) == [])
    }

    @Test(
        "what is no frame, no message, or not its turn ends it in words for its author",
        arguments: [
            ("huge", "a frame announces 2147483647 bytes"), ("empty", "a frame has length 0"),
            ("garbage", "a frame announces 1195725856 bytes"), ("cut", "exited with code 0"),
            ("varint", "a varint is longer than 64 bits"), ("wire-type", "a wire type that proto3 does not have"),
            ("group", "a wire type that proto3 does not have"), ("lying-length", "the message ends inside a field"),
            ("two-bodies", "appears twice"), ("unknown-body", "holds no message that this revision knows"),
            ("no-text", "field 3 is a string but not UTF-8"),
            ("tokens-first", "the first message must be Hello, not TokenBatch"),
            ("loaded-first", "Loaded came while nothing was being loaded"), ("hello-twice", "Hello came twice"),
            ("loaded-twice", "Loaded came while nothing was being loaded"),
            ("finish-unknown", "for the sequence 5, which is not running"),
            ("foreign", "names the sequence 2147483648; 8 were offered"),
            ("pong-unasked", "is not the oldest unanswered Ping"), ("count-unasked", "the query 1, which is not open"),
            ("empty-batches", "a TokenBatch holds no run"), ("long-hello", "no Tokenized and no Embedded has"),
            ("faults", "gave up: "),
            ("flood-progress", "send it at most ten times a second"), ("vanish", "exited with code 0"),
            ("plays-launcher", "exited with code 125; its last words were 'hearth-sandbox: user-namespace"),
            ("hoard", "it may have 1024 MiB beside its weights (memoryMebibytes in unruly-hoard.json)"),
        ])
    func broken(way: String, words: String) async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-\(way)")
            let before = residentKibibytes()
            let backend = try await bench.start(until: .backingOff)
            await expectEnded(backend, in: bench, words)
            #expect(residentKibibytes() - before < Self.growthKibibytesMax)
        }
    }

    @Test(
        "what it sends for a sequence beyond what it may ends it and the sequence",
        arguments: [
            ("nested-length", "the message ends inside a field"), ("beyond-credit", "sent 4 tokens with a credit of 3"),
            ("finish-twice", "for the sequence 0, which is not running"),
            ("after-cancel", "for the sequence 0, which is not running"),
            ("text-bomb", "524288 bytes of text for 1 tokens; at most 1024 a token"),
            ("pad-envelope", "fields that this revision does not know take more than 1024 bytes"),
            ("pad-batch", "fields that this revision does not know take more than 1024 bytes"),
            ("pad-run", "fields that this revision does not know take more than 16384 bytes"),
            ("repeat-field", "field 1 appears twice"),
            ("long-prompt", "1048576 prompt tokens and 1 of the completion in a context of 1048576"),
            ("early-length", "finished for its length after 1 tokens"),
            ("foreign-stop", "finished at the stop token 7, which is none of its stopping.stop_token_ids"),
        ])
    func beyond(way: String, words: String) async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-\(way)")
            let before = residentKibibytes()
            let backend = try await bench.start()
            let collector = bench.collect()
            let sequence = try #require(backend.begin(request: try request(), credit: 3, handler: collector))
            if way == "after-cancel" {
                await bench.until { collector.tokens.count == 1 }
                sequence.cancel()
            }
            await expectEnded(backend, in: bench, words)
            #expect(collector.ends == 1, "an end is told once")
            #expect(collector.tokens.count <= 1, "nothing of what broke the contract is passed on")
            #expect(residentKibibytes() - before < Self.growthKibibytesMax)
        }
    }

    @Test("one that computes more than was asked for is ended before a consumer pays for it")
    func beyondMaxTokens() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-beyond-max-tokens")
            let backend = try await bench.start()
            let collector = bench.collect()
            _ = backend.begin(request: try request(maxTokens: 10), credit: 100, handler: collector)
            await expectEnded(backend, in: bench, "sent 100 tokens of at most 10, its stopping.max_tokens")
            #expect(collector.tokens.isEmpty)
            #expect(collector.ends == 1)
        }
    }

    @Test("one that offers a longer context than was asked for is ended")
    func longContext() async throws {
        try await withBench { bench in
            try bench.add(
                "unruly", as: "unruly-long-context",
                manifest: #"{"models": [{"id": "m", "contextTokens": 100}]}"#)
            let backend = try await bench.start(until: .backingOff)
            await expectEnded(backend, in: bench, "Loaded.max_context_tokens is 101; it is at most Load.context_tokens")
        }
    }

    @Test(
        "one that never comes to its first message is killed when its time is over",
        arguments: ["unfinished", "cut-silent", "drip", "stopped-first"])
    func noHello(way: String) async throws {
        try await withBench {
            $0.helloMilliseconds = 1_000
        } _: { bench in
            try bench.add("unruly", as: "unruly-\(way)")
            let before = residentKibibytes()
            let backend = try await bench.start(until: .backingOff)
            await expectEnded(backend, in: bench, "sent no Hello within 1000 ms")
            #expect(residentKibibytes() - before < Self.growthKibibytesMax)
        }
    }

    @Test(
        "one that reads nothing, or has stopped itself, is killed when pings go unanswered",
        arguments: ["deaf", "stopped"])
    func deaf(way: String) async throws {
        try await withBench {
            $0.pingIntervalMilliseconds = 500
            $0.outputBytesMax = 1 << 20
        } _: { bench in
            try bench.add("unruly", as: "unruly-\(way)")
            let backend = try await bench.start()
            let large = try request(String(repeating: "word ", count: 100_000))
            let collector = bench.collect()
            let before = residentKibibytes()
            let begun = (0..<8).filter { _ in backend.begin(request: large, credit: 1, handler: collector) != nil }
            #expect(begun.count == 3, "what waits for it is bounded")
            await expectEnded(backend, in: bench, "answered no Ping for 1500 ms")
            #expect(collector.ends == 3)
            #expect(residentKibibytes() - before < Self.growthKibibytesMax)
        }
    }

    @Test("one that closes its socket and lives on is killed")
    func closes() async throws {
        try await withBench {
            $0.exitMilliseconds = 200
        } _: { bench in
            try bench.add("unruly", as: "unruly-closes")
            let backend = try await bench.start(until: .backingOff)
            await expectEnded(backend, in: bench, "closed its socket and did not end")
        }
    }

    @Test("one that cannot become a daemon says so, and one that could is gone with its first process")
    func daemonise() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-daemonise")
            let backend = try await bench.start(until: .backingOff)
            await expectEnded(backend, in: bench, "exited with code 1")
            #expect(backend.recentLog.contains("fork: Operation not permitted"))
            #expect(backend.denied.entries.contains { $0.call.errno == UInt16(EPERM) })
        }
        let policies = try forkingPolicies()
        defer { policies.remove() }
        try await withBench(policies: policies.path) { bench in
            try bench.add("unruly", as: "unruly-daemonise", manifest: #"{"policy": "forking"}"#)
            let backend = try await bench.start(until: .backingOff)
            await expectEnded(backend, in: bench, "exited with code 0")
            #expect(!backend.recentLog.joined().contains("fork"), "it did fork")
        }
    }

    /// `strict`, and the right to fork: what then ends a daemon is the namespace that it is in.
    private func forkingPolicies() throws -> PolicyPlace {
        let policies = PolicyPlace()
        let strict = try PolicyPlace.strict()
        let open = try #require(strict.range(of: #""syscalls": ["#))
        let rule = #"{"comment": "A daemon.", "names": ["clone", "fork", "setsid"], "action": "SCMP_ACT_ALLOW"},"#
        policies.write("forking", strict.replacingCharacters(in: open, with: strict[open] + rule))
        return policies
    }

    @Test("one whose weights are cut short under it is ended by SIGBUS, and its owner reads why")
    func weightsCutShort() async throws {
        try await withBench { try await $0.expectCutWeightsAreTold() }
    }

    @Test("one that ignores every signal and request is killed once its grace is over")
    func stubborn() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-stubborn")
            let backend = try await bench.start()
            let held = [backend.pid] + descendants(of: backend.pid)
            #expect(held.count == 3)
            await bench.supervisor.stop(graceMilliseconds: 200)
            #expect(backend.state == .stopped)
            #expect(try await eventually { !held.contains { isAlive($0) } })
        }
    }

    @Test("one that ends over and over is started without end, refused meanwhile, with the way to start it at once")
    func endsOverAndOver() async throws {
        try await withBench {
            $0.backoffFirstMilliseconds = 1
            $0.backoffMaxMilliseconds = 8
        } _: { bench in
            try bench.add("unruly", as: "unruly-vanish")
            let before = openDescriptors()
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.restarts >= 12 && backend.state == .backingOff && backend.pid == 0 }
            #expect(backend.detail.contains("exited with code 0; restart after 8 ms ("), "\(backend.detail)")
            #expect(bench.supervisor.models[backend.model]?.state == .unavailable)
            #expect(backend.detail.contains("to try again: touch \(bench.folder)/unruly-vanish"))
            bench.supervisor.backends.first?.stop(graceMilliseconds: 0, why: "the test is over")
            await bench.until { backend.pid == 0 }
            #expect(openDescriptors() <= before, "no start leaves a descriptor open")
        }
    }

    @Test("descriptors cannot be sent")
    func smuggle() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-smuggle")
            let backend = try await bench.start()
            #expect(try await eventually { backend.recentLog.contains("sendmsg: Operation not permitted") })
        }
    }

    @Test("what is denied is counted in so many kinds and no more, and costs the backend its own time only")
    func deniedWithoutEnd() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-flood-denied")
            let before = residentKibibytes()
            let backend = try await bench.start()
            let pid = backend.pid
            let kinds = LaunchPlan.Bounds.callKindsMax
            #expect(try await eventually { backend.denied.entries.count > kinds })
            let collector = bench.collect()
            _ = backend.begin(request: try request(), credit: 1, handler: collector)
            await bench.until { collector.ends == 1 }
            #expect(collector.finish?.outcome == .reason(.stop))
            #expect(backend.denied.entries.count == kinds + 1)
            #expect(backend.denied.entries.contains { $0.call.call.number == SupervisedCall.otherKinds })
            #expect(backend.pid == pid)
            #expect(residentKibibytes() - before < Self.growthKibibytesMax)
        }
    }

    @Test("one that sends all that it may, and one that fills its log, take no more than their share of a neighbour")
    func floods() async throws {
        let loud = ["flood-log", "flood-lines", "drip-log"]
        try await withBench { bench in
            try bench.addEcho()
            for way in ["flood"] + loud { try bench.add("unruly", as: "unruly-\(way)") }
            try bench.supervisor.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let echo = try #require(bench.supervisor.backend(model: "echo"))
            let flood = try #require(bench.supervisor.backend(model: "unruly-flood"))
            let logs = try loud.map { try #require(bench.supervisor.backend(model: "unruly-\($0)")) }
            let before = residentKibibytes()
            let greedy = try (0..<8).map { _ in try Greedy(flood) }
            let collector = bench.collect()
            let paced = try request(maxTokens: 100, options: ["tokens_per_second": "100"])
            _ = echo.begin(request: paced, credit: 100, handler: collector)
            await bench.until { collector.ends == 1 }
            #expect(collector.tokens.count == 100)
            #expect(collector.finish?.outcome == .reason(.length))
            #expect(greedy.allSatisfy { $0.tokens > 1_000 }, "the flood did flow")
            #expect(flood.state == .ready)
            for log in logs {
                #expect(log.state == .ready)
                #expect(log.recentLog.count <= 501)
                #expect(log.recentLog.first?.contains("earlier lines were dropped") == true, "\(log.name) did write")
            }
            #expect(residentKibibytes() - before < Self.growthKibibytesMax)
        }
    }
}

/// Takes all that comes, keeps nothing of it, and asks for as much again.
@IOLoop
private final class Greedy: SequenceHandler {
    private var sequence: RunningSequence?
    private(set) var tokens = 0

    init(_ backend: ManagedBackend) throws {
        sequence = backend.begin(request: try request(maxTokens: 1 << 20), credit: 1_024, handler: self)
    }

    func received(_ run: TokenRunView) {
        tokens += run.tokenCount
        sequence?.grant(tokens: UInt32(run.tokenCount))
    }

    func finished(_ finish: Finish) {}
    func lost(_ loss: SequenceLoss) {}
}

/// The same executable without a sandbox, for what the filter would have stopped.
@Suite("Hostile backends without a sandbox", .timeLimit(.minutes(1)))
@IOLoop
struct UnsandboxedHostileBackendTests {
    @Test("descriptors that do come are not taken: the agent reads bytes and nothing else")
    func smuggle() async throws {
        let bench = try Workbench()
        try bench.add("unruly", as: "unruly-smuggle")
        let backend = try await bench.start()
        #expect(try await eventually { backend.recentLog.contains("sent descriptors") })
        let pid = backend.pid
        let before = openDescriptors()
        for _ in 0..<3 {
            let collector = bench.collect()
            _ = backend.begin(request: try request(), credit: 1, handler: collector)
            await bench.until { collector.ends == 1 }
        }
        #expect(openDescriptors() == before)
        #expect(backend.pid == pid)
        await bench.close()
    }

    @Test("a verdict that comes on the keeper's socket is believed: what keeps a backend from it is that it has none")
    func playsLauncher() async throws {
        let bench = try Workbench()
        try bench.write("weights", "abc")
        try bench.add(
            "unruly", as: "unruly-plays-launcher", manifest: #"{"models": [{"id": "m", "file": "weights"}]}"#)
        let backend = try await bench.start(until: .failed)
        #expect(backend.detail.hasPrefix("was not started: forged"))
        #expect(backend.recentLog.contains("told on descriptor 4"))
        await bench.close()
    }
}
