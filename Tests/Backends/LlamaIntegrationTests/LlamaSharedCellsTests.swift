import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import TestPlaces
import Testing

@Suite("How sequences of the llama backend share the cells of one cache", .serialized)
struct LlamaSharedCellsTests {
    /// Four sequences that share the cells of one context.
    private func backend(cells: UInt32 = 512, drafts: Bool = false) throws -> BackendDriver {
        let backend = try BackendDriver.unloadedLlama(draft: drafts ? Repository.demoModel : nil)
        try backend.load(
            model: "demo", contextTokens: cells, maxSequences: 4, options: ["cacheTokens": "\(cells)"])
        return backend
    }

    private func request(_ first: UInt32, prompt: UInt32, completion: UInt32) -> Hearth_V1_GenerateRequest {
        .tokens((0..<prompt).map { 100 + ($0 * 7 + first) % 400 }).endless(completion)
    }

    @Test(
        "Those that want more cells than there are end all the same, with what they would have alone",
        arguments: [false, true])
    func shortage(drafts: Bool) throws {
        let backend = try backend(cells: 256, drafts: drafts)
        let stories = ["dragon", "wolf", "king", "fox"].map {
            Hearth_V1_GenerateRequest.question("Tell me a story about a \($0).")
        }
        let alone = try stories.map { try backend.complete($0) }
        let wanted = alone.reduce(0) { $0 + $1.tokens.count + Int($1.finish?.promptTokens ?? 0) }
        try #require(wanted > 256, "they must not fit beside each other")
        for (number, story) in stories.enumerated() { try backend.start(UInt32(number), story) }
        let together = try (0..<4 as Range<UInt32>).map { try backend.finish($0) }
        #expect(together.allSatisfy { $0.reason == .stop })
        #expect(together.map(\.text) == alone.map(\.text))
        #expect(together.map { $0.finish?.promptTokens } == alone.map { $0.finish?.promptTokens })
        // And endless ones, of which each wants nearly all cells.
        for number in 0..<4 as Range<UInt32> {
            try backend.start(number, request(number, prompt: 20 + number * 30, completion: 130))
        }
        #expect(try (0..<4 as Range<UInt32>).map { try backend.finish($0).tokens.count } == [130, 130, 130, 130])
    }

    @Test("One that has no credit gives way to those that have, and goes on later where it was")
    func stalled() throws {
        let backend = try backend()
        let long = Hearth_V1_GenerateRequest.question("Tell me a story about a wolf.")
        let alone = try backend.complete(long)
        try backend.start(0, long, credit: 5)
        try backend.listen(toTokens: 5, of: 0)
        let other = try backend.complete(request(2, prompt: 450, completion: 50), as: 1)
        #expect(other.reason == .length && other.tokens.count == 50)
        try backend.say(.credit(Credit(sequence: 0, tokens: 1_000)))
        #expect(try backend.finish(0).text == alone.text)
    }

    @Test("One that waits for cells can be cancelled, and its number serves the next")
    func cancelled() throws {
        let backend = try backend()
        try backend.start(0, request(1, prompt: 300, completion: 150))
        try backend.start(1, request(2, prompt: 400, completion: 50))
        try backend.listen(toTokens: 10, of: 0)
        try backend.say(.cancel(Cancel(sequence: 1)))
        let cancelled = try backend.finish(1)
        #expect(cancelled.reason == .cancelled && cancelled.tokens.isEmpty)
        #expect(cancelled.finish?.promptTokens == 400)
        #expect(try backend.complete(.question("What is 3 plus 4?"), as: 1).text.contains("7"))
        #expect(try backend.finish(0).tokens.count == 150)
    }

    @Test("What idle caches hold gives way to what is asked", arguments: [false, true])
    func idle(drafts: Bool) throws {
        let backend = try backend(drafts: drafts)
        let first = request(1, prompt: 300, completion: 5)
        func cached(_ request: Hearth_V1_GenerateRequest, _ scope: UInt8) throws -> UInt32? {
            let ended = try backend.complete(request, scope: [scope])
            #expect(ended.reason == .length)
            return ended.finish?.cachedPromptTokens
        }
        #expect(try cached(first, 1) == 0)
        #expect(try cached(first, 1) == 299)
        #expect(try cached(request(2, prompt: 300, completion: 5), 2) == 0)
        #expect(try cached(first, 1) == 0)
    }

    @Test("One may be as long as all cells, where the model allows it, and the backend tells so")
    func longest() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(4_096), in: &$0) }
        let options = ["cacheTokens": "2048"]
        let inspecting = try BackendDriver.unloadedLlama(weights: model.path)
        try inspecting.shakeHands()
        try inspecting.askToLoad(model: "demo", maxSequences: 4, options: options, inspectOnly: true)
        try inspecting.listen { $0.inspected != nil }
        #expect(inspecting.inspected?.cacheTokens == 2_048)
        #expect(inspecting.inspected?.contextTokens == 2_048 && inspecting.inspected?.maxSequences == 4)
        let backend = try BackendDriver.llama(weights: model.path, maxSequences: 4, options: options)
        #expect(backend.conversation.loaded?.maxContextTokens == 2_048)
        #expect(try backend.complete(request(1, prompt: 2_000, completion: 20)).reason == .length)
    }

    @Test("Fewer cells than one context that the owner wants are refused")
    func refusal() throws {
        let failure = try #require(throws: BackendDriver.Failure.self) {
            _ = try BackendDriver.llama(contextTokens: 512, options: ["cacheTokens": "511"])
        }
        guard case .fatal(let fault) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(fault.code == .badModel && fault.message.contains("511") && fault.message.contains("512"))
    }
}
