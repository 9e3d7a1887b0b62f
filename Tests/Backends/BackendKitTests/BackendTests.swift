import BackendDriver
import BackendIPC
import BackendKit
import BackendProgram
import Glibc
import Polling
import Synchronization
import Testing

/// An engine whose step is given by the test.
private struct ScriptedEngine: Engine, Sendable {
    static let name = "scripted"
    static let version = "1"
    var model = LoadedModel(maxContextTokens: 100, maxSequences: 2)
    var refusal: @Sendable (GenerateRequest) -> EngineFault? = { _ in nil }
    var body: @Sendable (inout Step) throws(EngineFault) -> Pace = { _ in .idle }

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        progress(.nan)
        progress(2)
        return model
    }

    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {
        if let fault = refusal(request) { throw fault }
    }
    mutating func cancel(_ sequence: Int) -> PromptTokens { PromptTokens(total: 3, cached: 9) }
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace { try body(&step) }
}

/// Holds an engine in its step until the test lets it go.
private final class Gate: Sendable {
    let isInStep = Atomic(false)
    let mayEnd = Atomic(false)
    /// The sequences that an engine has heard of within its step.
    let news = Mutex<(cancelled: [Int], asking: [Int])>(([], []))
}

/// Counts only when it has been asked ten times, or at once.
private struct CountingEngine: Engine, Sendable {
    static let name = "counting"
    static let version = "1"
    static let capabilities: [Capability] = [.countTokens]
    var asked: [Int: Int] = [:]

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        LoadedModel(maxContextTokens: 100, maxSequences: 1)
    }

    mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int? {
        asked[query, default: 0] += 1
        if request.prompt == .text("bad") { throw EngineFault(.invalidArgument, "bad text") }
        return request.prompt == .text("slow") && asked[query] != 10 ? nil : asked[query]
    }

    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {}
    mutating func cancel(_ sequence: Int) -> PromptTokens { PromptTokens(total: 0) }
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace { .idle }
}

extension BackendDriver {
    /// How each sequence ended that has.
    fileprivate var finishes: [UInt32: Finish] { completions.compactMapValues(\.finish) }
}

@Suite("Backend")
struct BackendTests {
    /// A GenerateRequest with the text "x".
    private let request: [UInt8] = [0x22, 1, 0x78]

    private func start(_ body: @escaping @Sendable (inout Step) throws(EngineFault) -> Pace) throws -> ServedEngine {
        let backend = try ServedEngine(ScriptedEngine(body: body))
        try backend.agent.listen { $0.conversation.phase == .ready }
        try backend.agent.say(.start(Start(sequence: 0, credit: 3, request: request)))
        return backend
    }

    @Test(
        "an engine that misuses its step ends the backend with words for its author",
        arguments: [
            (0, "has no credit"), (1, "sequence 1, which has no credit"), (2, "sequence 99"), (3, "2000 bytes"),
            (4, "which is not running"), (5, "has no credit"),
        ])
    func misuse(kind: Int, part: String) throws {
        let backend = try start { step throws(EngineFault) in
            switch kind {
            case 0: for _ in 0..<4 { step.emit(0, token: 1, text: "a") }
            case 1: step.emit(1, token: 1, text: "a")
            case 2: step.emit(99, token: 1, text: "a")
            case 3: step.emit(0, token: 1, text: String(repeating: "a", count: 2_000))
            case 4: step.finish(1, .endOfTurn, prompt: PromptTokens(total: 1))
            default:
                step.finish(0, .endOfTurn, prompt: PromptTokens(total: 1))
                step.emit(0, token: 1, text: "a")
            }
            return .again
        }
        try backend.agent.listen { $0.fatal != nil }
        #expect(backend.agent.fatal?.message.contains(part) == true, "\(backend.agent.fatal?.message ?? "")")
        #expect(backend.end() == 1)
    }

    @Test("an engine's fault in a step ends the backend with its words")
    func stepFault() throws {
        let backend = try start { _ throws(EngineFault) in throw EngineFault(.internal, "the model is broken") }
        try backend.agent.listen { $0.fatal != nil }
        #expect(backend.agent.fatal == Fault(.internal, "the model is broken"))
        #expect(backend.end() == 1)
    }

    @Test("tokens of a request with stop strings are runs of their own", arguments: [false, true])
    func stopStrings(has: Bool) throws {
        let backend = try ServedEngine(
            ScriptedEngine(body: { step throws(EngineFault) in
                guard step.credit(of: 0) == 3 else { return .idle }
                for letter in ["a", "b", "c"] { step.emit(0, token: 1, text: letter) }
                step.finish(0, .endOfTurn, prompt: PromptTokens(total: 1))
                return .idle
            }))
        try backend.agent.listen { $0.conversation.phase == .ready }
        // Stopping { stop = "z" }
        let request = request + (has ? [0x3a, 3, 0x12, 1, 0x7a] : [])
        try backend.agent.say(.start(Start(sequence: 0, credit: 3, request: request)))
        try backend.agent.listen { $0.finishes[0] != nil }
        #expect(backend.agent.completions[0]?.runs == (has ? ["a", "b", "c"] : ["abc"]).map { Array($0.utf8) })
    }

    @Test("a model that offers more sequences than allowed is the author's error")
    func badModel() throws {
        let engine = ScriptedEngine(model: LoadedModel(maxContextTokens: 1, maxSequences: 5))
        let backend = try ServedEngine(engine)
        try backend.agent.listen { $0.fatal != nil }
        #expect(backend.agent.fatal?.message.contains("Loaded.max_sequences is 5") == true)
        #expect(backend.end() == 1)
    }

    @Test("a long message is cut at a whole character")
    func longFault() throws {
        let backend = try start { step throws(EngineFault) in
            step.fail(0, EngineFault(.internal, String(repeating: "🔥", count: 1_000)))
            return .idle
        }
        try backend.agent.listen { $0.finishes[0] != nil }
        guard case .fault(let fault)? = backend.agent.finishes[0]?.outcome else {
            Issue.record("there was no fault")
            return
        }
        #expect(fault.message.utf8.count <= 1_024)
        #expect(fault.message.utf8.count > 900)
        #expect(fault.message.allSatisfy { $0 == "🔥" })
        #expect(backend.end() == 0)
    }

    @Test("a request that cannot be decoded finishes its sequence with a fault")
    func malformedRequest() throws {
        let backend = try start { _ throws(EngineFault) in .idle }
        try backend.agent.say(.start(Start(sequence: 1, credit: 1, request: [0xff])))
        try backend.agent.listen { $0.finishes[1] != nil }
        guard case .fault(let fault)? = backend.agent.finishes[1]?.outcome else {
            Issue.record("there was no fault")
            return
        }
        #expect(fault.code == .invalidArgument)
        #expect(backend.end() == 0)
    }

    @Test("an engine hears for whom a sequence is computed, and nothing that a consumer wrote")
    func cacheScope() throws {
        let engine = ScriptedEngine(refusal: { EngineFault(.internal, "scope \($0.cacheScope), text \($0.prompt)") })
        let backend = try ServedEngine(engine)
        try backend.agent.listen { $0.conversation.phase == .ready }
        try backend.agent.say(.start(Start(sequence: 0, credit: 3, request: request, cacheScope: [1, 2, 255])))
        try backend.agent.say(.start(Start(sequence: 1, credit: 3, request: request)))
        try backend.agent.listen { $0.finishes.count == 2 }
        for (sequence, scope) in [(0, "scope [1, 2, 255]"), (1, "scope []")] as [(UInt32, String)] {
            guard case .fault(let fault)? = backend.agent.finishes[sequence]?.outcome else {
                Issue.record("there was no fault")
                return
            }
            #expect(fault.message.hasPrefix(scope + ","))
        }
        #expect(backend.end() == 0)
    }

    @Test("within a long step pings are answered, and what else is said is heard after it")
    func attention() throws {
        let gate = Gate()
        let engine = ScriptedEngine(body: { step throws(EngineFault) in
            guard step.sequences.contains(0) else { return .idle }
            gate.isInStep.store(true, ordering: .releasing)
            while !gate.mayEnd.load(ordering: .acquiring) {
                step.attend()
                sched_yield()
            }
            // Both sequences end within the step; of the second a cancel has come.
            for sequence in step.sequences { step.finish(sequence, .endOfTurn, prompt: PromptTokens(total: 1)) }
            return .again
        })
        let backend = try ServedEngine(engine)
        try backend.agent.listen { $0.conversation.phase == .ready }
        try backend.agent.say(.start(Start(sequence: 1, credit: 1, request: request)))
        try backend.agent.say(.start(Start(sequence: 0, credit: 1, request: request)))
        let isInStep = eventuallyBlocking { gate.isInStep.load(ordering: .acquiring) }
        try #require(isInStep)
        for nonce in 0..<3 as Range<UInt64> { try backend.agent.say(.ping(Ping(nonce: nonce))) }
        try backend.agent.say(.cancel(Cancel(sequence: 1)))
        try backend.agent.say(.credit(Credit(sequence: 0, tokens: 5)))
        try backend.agent.say(.ping(Ping(nonce: 3)))
        try backend.agent.listen { $0.received.last == "Pong" && $0.received.suffix(4).allSatisfy { $0 == "Pong" } }
        #expect(backend.agent.finishes.isEmpty)
        gate.mayEnd.store(true, ordering: .releasing)
        try backend.agent.listen { $0.finishes.count == 2 }
        #expect(
            backend.agent.finishes.values.allSatisfy { $0.outcome == .reason(.stop) },
            "it had ended when the cancel was heard")
        // The numbers serve again.
        try backend.agent.say(.start(Start(sequence: 1, credit: 1, request: request)))
        try backend.agent.say(.start(Start(sequence: 0, credit: 1, request: request)))
        try backend.agent.listen { $0.conversation.runningSequences == 0 }
        #expect(backend.end() == 0)
    }

    @Test("within a long step an engine hears who is cancelled and who comes, and its answers show progress")
    func news() throws {
        let gate = Gate()
        let engine = ScriptedEngine(body: { step throws(EngineFault) in
            guard !gate.mayEnd.load(ordering: .acquiring) else { return .idle }
            gate.isInStep.store(true, ordering: .releasing)
            while !gate.mayEnd.load(ordering: .acquiring) {
                step.attend()
                let news = step.news()
                gate.news.withLock { $0 = (news.cancelled, news.asking) }
                sched_yield()
            }
            return .again
        })
        let backend = try ServedEngine(engine)
        try backend.agent.listen { $0.conversation.phase == .ready }
        try backend.agent.say(.start(Start(sequence: 1, credit: 1, request: request)))
        let isInStep = eventuallyBlocking { gate.isInStep.load(ordering: .acquiring) }
        try #require(isInStep)
        let first = try backend.agent.ping().steps
        #expect(try backend.agent.ping().steps > first, "no step has ended, and yet it computes")
        #expect(gate.news.withLock { $0.cancelled.isEmpty && $0.asking.isEmpty })
        try backend.agent.say(.start(Start(sequence: 0, credit: 1, request: request)))
        try backend.agent.say(.cancel(Cancel(sequence: 1)))
        let isHeard = eventuallyBlocking { gate.news.withLock { $0.cancelled == [1] && $0.asking == [0] } }
        #expect(isHeard)
        #expect(backend.agent.finishes.isEmpty, "it happens after the step")
        gate.mayEnd.store(true, ordering: .releasing)
        try backend.agent.listen { $0.finishes.count == 1 }
        #expect(backend.agent.finishes[1]?.outcome == .reason(.cancelled))
        #expect(backend.end() == 0)
    }

    @Test("a step that gives nothing counts as progress only where the engine says so")
    func progressWithoutTokens() throws {
        let isProgressing = Gate()
        let engine = ScriptedEngine(body: { step throws(EngineFault) in
            step.hasProgress = isProgressing.mayEnd.load(ordering: .acquiring)
            return .at(nanoseconds: Backend.nowNanoseconds + 1_000_000)
        })
        let backend = try ServedEngine(engine)
        try backend.agent.listen { $0.conversation.phase == .ready }
        try backend.agent.say(.start(Start(sequence: 0, credit: 1, request: request)))
        let steps = try backend.agent.ping().steps
        #expect(try backend.agent.ping().steps == steps)
        isProgressing.mayEnd.store(true, ordering: .releasing)
        var isCounted = false
        for _ in 0..<10_000 where !isCounted { isCounted = try backend.agent.ping().steps > steps }
        #expect(isCounted)
        #expect(backend.end() == 0)
    }

    @Test("a query whose answer takes long is asked again until it has one, and others are answered meanwhile")
    func slowQueries() throws {
        let backend = try ServedEngine(CountingEngine())
        try backend.agent.listen { $0.conversation.phase == .ready }
        for (query, text) in [(7, "slow"), (8, "x"), (9, "bad")] as [(UInt32, String)] {
            let request = [0x22, UInt8(text.utf8.count)] + Array(text.utf8)
            try backend.agent.say(.countTokens(CountTokens(query: query, request: request)))
        }
        try backend.agent.listen { $0.counts.count == 3 }
        #expect(backend.agent.counts.map(\.query) == [8, 9, 7])
        #expect(backend.agent.counts[0].result == .success(1))
        #expect(backend.agent.counts[1].result == .failure(Fault(.invalidArgument, "bad text")))
        #expect(backend.agent.counts[2].result == .success(10))
        #expect(backend.end() == 0)
    }

    @Test("cached tokens of a prompt are never more than its tokens")
    func cachedTokens() throws {
        let backend = try start { _ throws(EngineFault) in .idle }
        try backend.agent.say(.cancel(Cancel(sequence: 0)))
        try backend.agent.listen { $0.finishes[0] != nil }
        #expect(backend.agent.finishes[0] == Finish(.reason(.cancelled), promptTokens: 3, cachedPromptTokens: 3))
        #expect(backend.end() == 0)
    }

    @Test("the tokens of one step leave in one frame, and alternating sequences are put in order")
    func oneFrame() throws {
        let backend = try start { step throws(EngineFault) in
            guard step.sequences.count == 2 else { return .idle }
            for token in 0..<3 as Range<UInt32> {
                step.emit(0, token: token, text: "a")
                step.emit(1, token: token, text: "b")
            }
            return .again
        }
        try backend.agent.say(.start(Start(sequence: 1, credit: 3, request: request)))
        try backend.agent.listen { $0.conversation.tokens(of: 0) == 3 && $0.conversation.tokens(of: 1) == 3 }
        #expect(backend.agent.received.filter { $0 == "TokenBatch" }.count == 1)
        #expect(backend.end() == 0)
    }

    @Test("while the agent does not read, the backend stops computing, still hears, and goes on later")
    func agentThatDoesNotRead() throws {
        let model = LoadedModel(maxContextTokens: 3_000_000, maxSequences: 2)
        let engine = ScriptedEngine(
            model: model,
            body: { step throws(EngineFault) in
                for sequence in step.sequences {
                    while step.credit(of: sequence) > 0 { step.emit(sequence, token: 1, text: "some text") }
                }
                return .again
            })
        let backend = try ServedEngine(engine)
        try backend.agent.listen { $0.conversation.phase == .ready }
        try backend.agent.say(.start(Start(sequence: 0, credit: 10_000, request: request)))
        // Far more than every buffer on the way holds: were the backend not reading, these writes would never end.
        for _ in 0..<20_000 { try backend.agent.say(.credit(Credit(sequence: 0, tokens: 100))) }
        for nonce in 0..<500 as Range<UInt64> { try backend.agent.say(.ping(Ping(nonce: nonce))) }
        try backend.agent.listen { $0.conversation.tokens(of: 0) == 2_010_000 }
        #expect(backend.end() == 0)
    }
}
