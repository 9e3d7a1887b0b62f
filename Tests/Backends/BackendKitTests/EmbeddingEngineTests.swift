import BackendDriver
import BackendIPC
import BackendKit
import BackendProgram
import Synchronization
import Testing

/// Answers what a test says, in the step after a query came.
private struct EmbeddingEngine: Engine, Sendable {
    static let name = "embedding"
    static let version = "1"
    static let capabilities: [Capability] = [.embed, .rerank]
    let body: @Sendable (inout Step, [Int: EmbeddingRequest]) -> Pace
    var open: [Int: EmbeddingRequest] = [:]

    init(_ body: @escaping @Sendable (inout Step, [Int: EmbeddingRequest]) -> Pace) { self.body = body }

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        var model = LoadedModel(maxContextTokens: 100, maxSequences: 1)
        (model.embeddingDimensions, model.lacking) = (2, [.generate])
        return model
    }

    mutating func startEmbedding(_ query: Int, _ request: EmbeddingRequest) throws(EngineFault) {
        if request.task == .embed([.text("bad")], .ofModel) { throw EngineFault(.invalidArgument, "bad text") }
        open[query] = request
    }

    mutating func cancelEmbedding(_ query: Int) -> Int { open.removeValue(forKey: query) == nil ? 0 : 5 }
    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {}
    mutating func cancel(_ sequence: Int) -> PromptTokens { PromptTokens(total: 0) }
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace { body(&step, open) }
}

@Suite("a backend that embeds")
struct EmbeddingEngineTests {
    /// An EmbedRequest with one text.
    private func request(_ text: String = "x") -> [UInt8] {
        let input = [0x22, UInt8(text.utf8.count)] + Array(text.utf8)
        return [0x12, UInt8(input.count)] + input
    }

    private func serve(
        _ body: @escaping @Sendable (inout Step, [Int: EmbeddingRequest]) -> Pace
    ) throws -> ServedEngine {
        let backend = try ServedEngine(EmbeddingEngine(body))
        try backend.agent.listen { $0.conversation.phase == .ready }
        #expect(backend.agent.conversation.loaded?.lacking == ["generate"])
        return backend
    }

    @Test("a query gets what its step gives, and requests reach the engine as they were sent")
    func answers() throws {
        let backend = try serve { step, open in
            for query in step.embeddings {
                switch open[query]?.task {
                case .embed(let inputs, let pooling):
                    let value: Float = inputs == [.text("x"), .tokenIDs([7])] && pooling == .last ? 1 : 0
                    let values = [Float](repeating: value, count: 2 * inputs.count)
                    step.finish(
                        embedding: query, EmbeddingResult(values: values, tokens: inputs.map { _ in 3 }))
                case .rerank("who", ["a", "b"]):
                    step.finish(
                        embedding: query,
                        EmbeddingResult(
                            values: [1, 2], tokens: [4, 5], leftOutTokens: [0, open[query]?.truncates == true ? 6 : 0]))
                default: step.fail(embedding: query, EngineFault(.unsupported, "what?"), tokens: 9)
                }
            }
            return .again
        }
        // inputs "x" and the ids [7], pooling LAST.
        let embed = request() + [0x12, 5, 0x2a, 3, 0x0a, 1, 7] + [0x18, 3]
        let vectors = try backend.agent.embed(.embed, embed)
        #expect(vectors.fault == nil && vectors.values == [1, 1, 1, 1] && vectors.tokens == [3, 3])
        let rerank: [UInt8] = [0x12, 3] + Array("who".utf8) + [0x1a, 1, 0x61, 0x1a, 1, 0x62, 0x30, 1]
        let scores = try backend.agent.embed(.rerank, rerank)
        #expect(scores.values == [1, 2] && scores.tokens == [4, 5] && scores.leftOutTokens == [0, 6])
        let failed = try backend.agent.embed(.rerank, [0x12, 1, 0x61])
        #expect(failed.fault == Fault(.unsupported, "what?") && failed.tokens == [9])
        #expect(try backend.agent.embed(.embed, request("bad")).fault == Fault(.invalidArgument, "bad text"))
        let malformed = try backend.agent.embed(.embed, [0x12, 9, 1])
        #expect(malformed.fault?.code == .invalidArgument && malformed.fault?.message.contains("malformed") == true)
        #expect(try backend.agent.embed(.embed, [0x12, 0]).fault?.message.contains("an input is missing") == true)
        #expect(backend.end() == 0)
    }

    @Test("what is no number is a fault of the query, and not the end of the backend")
    func notANumber() throws {
        let backend = try serve { step, _ in
            for query in step.embeddings {
                step.finish(embedding: query, EmbeddingResult(values: [1, .nan], tokens: [3]))
            }
            return .again
        }
        let answer = try backend.agent.embed(.embed, request())
        #expect(answer.fault?.code == .internal && answer.tokens == [3], "what was computed is told")
        #expect(try backend.agent.ping().steps > 0)
        #expect(backend.end() == 0)
    }

    @Test("an engine that answers a query which is not open, or too few numbers, ends the backend", arguments: [0, 1])
    func misuse(kind: Int) throws {
        let backend = try serve { step, _ in
            let query = step.embeddings[0] + (kind == 0 ? 1 : 0)
            step.finish(embedding: query, EmbeddingResult(values: [1], tokens: [3]))
            return .again
        }
        _ = try backend.agent.beginEmbedding(.embed, request())
        try backend.agent.listen { $0.fatal != nil }
        #expect(
            backend.agent.fatal?.message.contains(kind == 0 ? "which is not open" : "Embedded holds 1 numbers") == true)
        #expect(backend.end() == 1)
    }

    @Test("within a step pings are answered, and a cancel is news that ends the query behind it")
    func cancelledWithinAStep() throws {
        let steps = Atomic(0)
        let backend = try serve { step, _ in
            steps.add(1, ordering: .relaxed)
            // It computes until nobody wants it.
            while step.news().cancelledEmbeddings != step.embeddings { step.attend() }
            return .again
        }
        let query = try backend.agent.beginEmbedding(.embed, request())
        #expect(try backend.agent.ping().steps >= 0)
        try backend.agent.say(.cancelEmbed(CancelEmbed(query: query)))
        try backend.agent.listen { !$0.embedded.isEmpty }
        #expect(backend.agent.embedded[0].tokens == [5] && backend.agent.embedded[0].fault?.code == .overloaded)
        #expect(steps.load(ordering: .relaxed) == 1)
        // One that is idle hears it as well.
        #expect(backend.end() == 0)
    }
}
