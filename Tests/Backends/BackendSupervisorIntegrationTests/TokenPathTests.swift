import BackendIPC
import EventLoop
import Foundation
import Testing

@testable import BackendSupervisor

@Suite("Tokens of a real backend", .timeLimit(.minutes(1)))
@IOLoop
struct TokenPathTests {
    /// Runs a body over a supervisor with a ready echo, and ends its process whatever happens.
    private func withEcho(
        manifest: String? = nil, _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench, ManagedBackend) async throws -> Void
    ) async throws {
        let bench = try Workbench(adjust)
        try bench.addEcho(manifest: manifest)
        let backend = try await bench.start()
        try await bench.use { try await body($0, backend) }
    }

    @Test("they arrive in order and complete, with grants along the way")
    func complete() async throws {
        try await withEcho { bench, backend in
            let whole = bench.collect()
            #expect(backend.begin(request: try request(maxTokens: 500), credit: 1_000, handler: whole) != nil)
            let granted = bench.collect()
            let sequence = try #require(
                backend.begin(request: try request(maxTokens: 500), credit: 8, handler: granted))
            granted.onTokens = { sequence.grant(tokens: UInt32($0)) }
            await bench.until { whole.finish != nil && granted.finish != nil }
            #expect(whole.tokens.count == 500)
            #expect(granted.tokens == whole.tokens)
            #expect(granted.text == whole.text)
            #expect(whole.finish?.outcome == .reason(.length))
            #expect(whole.finish?.promptTokens == 3)
            #expect(granted.ends == 1)
            #expect(backend.runningSequences == 0)
        }
    }

    @Test("without credit nothing is computed, and with new credit it goes on where it was")
    func credit() async throws {
        try await withEcho { bench, backend in
            let whole = bench.collect()
            _ = backend.begin(request: try request(maxTokens: 20), credit: 20, handler: whole)
            let halting = bench.collect()
            let sequence = try #require(
                backend.begin(request: try request(maxTokens: 20), credit: 5, handler: halting))
            await bench.until { halting.tokens.count == 5 && whole.finish != nil }
            // Its answer shows that the backend went through its steps without computing more.
            let words = try await count(backend)
            #expect(words == 3)
            #expect(halting.tokens.count == 5)
            sequence.grant(tokens: 100)
            await bench.until { halting.finish != nil }
            #expect(halting.tokens == whole.tokens)
        }
    }

    private func count(_ backend: ManagedBackend) async throws -> UInt32? {
        let request = try request()
        let answer = try await withCheckedContinuation { continuation in
            backend.ask(.count, request: request) { continuation.resume(returning: $0) }
        }.get()
        guard case .count(let tokens) = answer else { return nil }
        return tokens
    }

    @Test("a cancel ends a sequence that would go on for ever, and frees its place")
    func cancel() async throws {
        try await withEcho(manifest: #"{"models": [{"id": "m", "maxSequences": 1}]}"#) { bench, backend in
            #expect(backend.maxSequences == 1)
            let endless = bench.collect()
            let sequence = try #require(
                backend.begin(
                    request: try request(maxTokens: 1_000_000, options: ["tokens_per_second": "1000"]),
                    credit: .max, handler: endless))
            await bench.until { endless.tokens.count >= 3 }
            #expect(backend.begin(request: try request(), credit: 1, handler: endless) == nil, "its place is taken")
            var freed = false
            bench.supervisor.onAvailable = { _ in freed = true }
            sequence.cancel()
            sequence.cancel()
            await bench.until { endless.finish != nil }
            #expect(endless.finish?.outcome == .reason(.cancelled))
            // What comes too late for a sequence must not reach the next one with its number.
            let next = bench.collect()
            let nextSequence = try #require(backend.begin(request: try request(maxTokens: 5), credit: 5, handler: next))
            #expect(nextSequence.id != sequence.id)
            sequence.cancel()
            await bench.until { next.finish != nil && freed }
            #expect(next.finish?.outcome == .reason(.length))
        }
    }

    @Test("a handler may begin the next sequence while it hears of the end of its own")
    func beginFromHandler() async throws {
        try await withEcho(manifest: #"{"models": [{"id": "m", "maxSequences": 1}]}"#) { bench, backend in
            let chain = Chain(bench: bench, backend: backend, request: try request(maxTokens: 3), links: 50)
            chain.begin()
            await bench.until { chain.linksLeft == 0 }
            #expect(chain.tokens == 150)
        }
    }

    @Test("a thousand sequences at once, each complete")
    func manySequences() async throws {
        try await withEcho(manifest: #"{"models": [{"id": "m", "maxSequences": 1000}]}"#) { bench, backend in
            let collectors = (0..<1_000).map { _ in bench.collect() }
            for (index, collector) in collectors.enumerated() {
                let request = try request(maxTokens: 20 + UInt32(index % 7))
                #expect(backend.begin(request: request, credit: 100, handler: collector) != nil)
            }
            #expect(backend.runningSequences == 1_000)
            await bench.until { backend.runningSequences == 0 }
            for (index, collector) in collectors.enumerated() {
                #expect(collector.tokens.count == 20 + index % 7)
                #expect(collector.finish?.outcome == .reason(.length))
            }
        }
    }

    @Test("a fault of one request is told to its sequence alone")
    func fault() async throws {
        try await withEcho { bench, backend in
            let good = bench.collect()
            let bad = bench.collect()
            _ = backend.begin(request: try request(options: ["fault": "overloaded"]), credit: 10, handler: bad)
            _ = backend.begin(request: try request(), credit: 10, handler: good)
            await bench.until { good.finish != nil && bad.finish != nil }
            guard case .fault(let fault) = bad.finish?.outcome else {
                Issue.record("the fault was not told")
                return
            }
            #expect(fault.code == .overloaded)
            #expect(good.finish?.outcome == .reason(.length))
            #expect(backend.state == .ready)
        }
    }

    @Test("questions about prompts are answered, and not more of them at once than the limit")
    func countTokens() async throws {
        try await withEcho {
            $0.tokenQueriesMax = 2
        } _: { bench, backend in
            let request = try request("one two three four")
            var results: [Result<PromptAnswer, UnansweredQuestion>] = []
            for question in [.count, .text, .tokens] as [PromptQuestion] {
                backend.ask(question, request: request) {
                    results.append($0)
                    bench.check()
                }
            }
            await bench.until { results.count == 3 }
            let answers: [PromptAnswer] = results.compactMap { try? $0.get() }
            #expect(answers == [.count(4), .text(Array("one two three four".utf8))])
            guard case .failure(.refused(let fault)) = results.first else {
                Issue.record("the third was not refused at once")
                return
            }
            #expect(fault.code == .overloaded)
        }
    }

    @Test(
        "embeddings run beside sequences, as many as may at once, end when they are cancelled, and are lost with the process"
    )
    func embeddings() async throws {
        let slow = #"{"models": [{"id": "echo", "options": {"embed_delay_ms": 3600000}}]}"#
        try await withEcho(manifest: slow) { bench, backend in
            #expect(backend.embeddingDimensions == 64 && backend.capabilities.contains("embed"))
            // An EmbedRequest with the text "x".
            let asked: [UInt8] = [0x12, 3, 0x22, 1, 0x78]
            var ends: [Result<Embedded, SequenceLoss>] = []
            @IOLoop func begin() -> RunningEmbedding? {
                backend.embed(.embed, request: asked, keepAliveSeconds: nil) {
                    ends.append($0)
                    bench.check()
                }
            }
            let running = (0..<8).compactMap { _ in begin() }
            #expect(running.count == 8 && begin() == nil && backend.freeEmbeddings == 0)
            #expect(backend.runningRequests == 8 && !backend.isIdle && backend.runningSequences == 0)
            let whole = bench.collect()
            let prompt = try request(maxTokens: 50)
            #expect(backend.begin(request: prompt, credit: 50, handler: whole) != nil)
            await bench.until { whole.finish != nil }
            #expect(ends.isEmpty)
            for _ in 0..<2 { running[0].cancel() }
            await bench.until { ends.count == 1 }
            let cancelled = try ends[0].get()
            #expect(cancelled.fault?.code == .overloaded)
            #expect(backend.freeEmbeddings == 1 && begin() != nil)
            running[0].cancel()
            backend.stop(graceMilliseconds: 0, why: "the test ends it")
            await bench.until { ends.count == 9 }
            #expect(ends.dropFirst().allSatisfy { if case .failure(let loss) = $0 { !loss.isFailure } else { false } })
            #expect(begin() == nil && backend.runningRequests == 0)
        }
    }

    /// Runs one sequence after the other, each begun by the end of the one before.
    private final class Chain: SequenceHandler {
        private let bench: Workbench
        private let backend: ManagedBackend
        private let request: [UInt8]
        private(set) var linksLeft: Int
        private(set) var tokens = 0

        init(bench: Workbench, backend: ManagedBackend, request: [UInt8], links: Int) {
            self.bench = bench
            self.backend = backend
            self.request = request
            linksLeft = links
        }

        func begin() {
            #expect(backend.begin(request: request, credit: 3, handler: self) != nil)
        }

        func received(_ run: TokenRunView) { tokens += run.tokenCount }

        func finished(_ finish: Finish) {
            linksLeft -= 1
            if linksLeft > 0 { begin() }
            bench.check()
        }

        func lost(_ loss: SequenceLoss) { Issue.record("lost: \(loss.reason)") }
    }
}
