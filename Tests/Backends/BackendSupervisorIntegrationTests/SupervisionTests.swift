import BackendIPC
import EventLoop
import Foundation
import Testing

@testable import BackendSupervisor

@Suite("Supervision of real processes", .timeLimit(.minutes(1)))
@IOLoop
struct SupervisionTests {
    private func withBench(
        _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(adjust)
        try await bench.use(body)
    }

    /// Runs one sequence that the options make end badly; what its handler was told, and the backend once it is back.
    private func provoke(
        _ options: [String: String], credit: UInt32 = 1_000,
        limits adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        then body: @IOLoop (Workbench, ManagedBackend, Collector) async throws -> Void = { _, _, _ in }
    ) async throws -> String {
        var reason: String?
        try await withBench(adjust) { bench in
            try bench.addEcho()
            let backend = try await bench.start()
            let pid = backend.pid
            let collector = bench.collect()
            let request = try request(maxTokens: 100, options: options)
            #expect(backend.begin(request: request, credit: credit, handler: collector) != nil)
            await bench.until { collector.lossReason != nil && backend.state == .ready }
            #expect(backend.restarts == 1)
            #expect(backend.pid != pid)
            #expect(!isAlive(pid))
            #expect(collector.ends == 1)
            #expect(collector.finish == nil)
            reason = collector.lossReason
            try await body(bench, backend, collector)
            let again = bench.collect()
            #expect(backend.begin(request: try self.request(maxTokens: 4), credit: 4, handler: again) != nil)
            await bench.until { again.finish != nil }
            #expect(again.tokens.count == 4)
        }
        return try #require(reason)
    }

    private func request(maxTokens: UInt32, options: [String: String] = [:]) throws -> [UInt8] {
        try BackendSupervisorIntegrationTests.request(maxTokens: maxTokens, options: options)
    }

    @Test("a crash loses the sequence with the signal's name, and the backend comes back")
    func crash() async throws {
        let reason = try await provoke(
            ["crash_at": "5"],
            then: { _, backend, collector in
                #expect(collector.tokens.count <= 5)
                #expect(backend.restarts == 1 && backend.detail == "", "it works again")
                #expect(backend.lastFailure?.reason.hasPrefix("was killed by signal") == true)
                #expect(backend.recentLog.contains { $0.contains("was killed by signal") })
            })
        #expect(reason.contains("the backend echo was killed by signal"))
        #expect(reason.contains("(SIG"))
    }

    @Test("a backend that hangs is found out by its unanswered pings")
    func hang() async throws {
        let reason = try await provoke(["hang_at": "5"], limits: { $0.pingIntervalMilliseconds = 300 })
        #expect(reason.hasPrefix("the backend echo answered no Ping for 900 ms: it hangs"))
    }

    @Test("a backend that answers but computes nothing is found out by its steps")
    func stall() async throws {
        let reason = try await provoke(
            ["silent_at": "5"],
            limits: {
                $0.pingIntervalMilliseconds = 300
                $0.stallMilliseconds = 500
            })
        #expect(reason.hasPrefix("the backend echo computed nothing for 500 ms while sequences had credit or"))
        #expect(reason.contains(" were cancelled: it hangs"))
    }

    @Test(
        "a frame that is no envelope ends the backend, and why is recorded",
        arguments: ["envelope", "length", "zero", "hello"])
    func malformed(kind: String) async throws {
        let reason = try await provoke(
            ["malformed_at": "5", "malformed": kind],
            then: { _, backend, _ in
                #expect(backend.lastFailure?.reason.hasPrefix("broke the contract: ") == true)
                #expect(backend.recentLog.contains { $0.contains("(the process broke the contract: ") })
            })
        #expect(reason.contains("the backend echo broke the contract: "))
    }

    @Test("tokens beyond the credit end the backend")
    func flood() async throws {
        let reason = try await provoke(["flood": "3"], credit: 10)
        #expect(reason.contains("broke the contract"))
        #expect(reason.contains("credit"))
    }

    @Test("all its sequences are lost with it, and nothing begins until it is back")
    func allAreLost() async throws {
        try await withBench { bench in
            try bench.addEcho()
            let backend = try await bench.start()
            let idle = try (0..<20).map { _ in
                let collector = bench.collect()
                let request = try request(maxTokens: 5)
                #expect(backend.begin(request: request, credit: 0, handler: collector) != nil)
                return collector
            }
            let crash = bench.collect()
            _ = backend.begin(request: try request(maxTokens: 5, options: ["crash_at": "1"]), credit: 5, handler: crash)
            await bench.until { crash.lossReason != nil }
            #expect(idle.allSatisfy { $0.ends == 1 && $0.lossReason == crash.lossReason })
            #expect(backend.begin(request: try request(maxTokens: 5), credit: 5, handler: crash) == nil)
            #expect(backend.runningSequences == 0)
            await bench.until { backend.state == .ready }
        }
    }

    @Test("a load shows its progress")
    func loadProgress() async throws {
        try await withBench { bench in
            let hello = BackendMessage.hello(Hello(name: "script", version: "1"))
            try bench.addScript(
                saying: [hello, .loadProgress(LoadProgress(fraction: 0.42))], then: "exec sleep 1000")
            let backend = try await bench.start(until: .loading)
            await bench.until { backend.detail == "42 % loaded" }
            #expect(backend.version == "script/1")
        }
    }

    @Test("once loaded it is known by its version, its context and its model's name")
    func loaded() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "contextTokens": 5000, "maxSequences": 3}]}"#)
            let backend = try await bench.start()
            #expect(bench.supervisor.backend(model: "m") === backend)
            #expect(backend.detail == "")
            #expect(backend.version.hasPrefix("echo/"))
            #expect(backend.maxContextTokens == 5_000)
            #expect(backend.maxSequences == 3)
            #expect(backend.capabilities.contains("count_tokens"))
        }
    }

    @Test("a load that takes too long is ended and told")
    func slowLoad() async throws {
        try await withBench {
            $0.backoffFirstMilliseconds = 60_000
        } _: { bench in
            try bench.addEcho(
                manifest: #"{"loadSeconds": 1, "models": [{"id": "m", "options": {"load_delay_ms": 60000}}]}"#)
            let backend = try await bench.start(until: .backingOff)
            #expect(backend.detail.contains("did not load its model in time"))
        }
    }

    @Test("weights that cannot be loaded are for the owner, not for another try")
    func badModel() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "options": {"load_fault": "bad_model"}}]}"#)
            let backend = try await bench.start(until: .failed)
            #expect(backend.restarts == 0)
            #expect(backend.detail.contains("touch"))
        }
    }

    @Test("weights are opened, digested and handed over")
    func weights() async throws {
        try await withBench { bench in
            try bench.write("tiny.bin", "abc")
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "tiny.bin"}]}"#)
            let backend = try await bench.start()
            #expect(backend.modelDigest.prefix(4) == [0xba, 0x78, 0x16, 0xbf])
            #expect(backend.modelDigest.count == 32)
        }
    }

    @Test("missing weights are told with their path")
    func missingWeights() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "none.bin"}]}"#)
            let backend = try await bench.start(until: .waiting)
            #expect(backend.detail.contains("none.bin"))
        }
    }
}
