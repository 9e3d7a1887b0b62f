import BackendDriver
import BackendIPC
import BackendProgram
import ContractCheck
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import TestPlaces
import Testing

@Suite("How the llama backend is controlled", .serialized)
struct LlamaControlTests {
    @Test("Without credit nothing is computed; with more it goes on where it was")
    func credit() throws {
        let backend = try BackendDriver.llama()
        let request = Hearth_V1_GenerateRequest.question("Tell me a story about a dragon.")
        let whole = try backend.complete(request)
        let before = try backend.ping().tokens
        try backend.start(1, request, credit: 5)
        try backend.listen(toTokens: 5, of: 1)
        let stalled = try backend.ping()
        #expect(stalled.tokens == before + 5)
        #expect(stalled.sequences == 1)
        // A neighbour computes meanwhile, the sequence without credit does not.
        let neighbour = try backend.complete(.question("Hello"))
        #expect(neighbour.reason == .stop)
        #expect(try backend.ping().tokens == before + 5 + UInt64(neighbour.tokens.count))
        try backend.say(.credit(Credit(sequence: 1, tokens: 1_000)))
        #expect(try backend.finish(1).tokens == whole.tokens)
    }

    @Test("Every clause of the contract that can be tried is kept")
    func contract() throws {
        var program = BackendProgram(path: Built.path("llama"))
        program.weights = Repository.demoModel
        program.isQuiet = true
        let load = Load(
            model: "demo", weightsDescriptor: BackendProcess.weightsDescriptor,
            weightsBytes: try FileFacts(path: Repository.demoModel).byteCount, maxSequences: 16)
        let candidate = Candidate(load: load) { [program] patience in
            try BackendDriver(program, patienceMilliseconds: patience)
        }
        let examination = try Examination(candidate)
        for clause in examination.brokenClauses { Issue.record("\(clause.number): \(examination[clause])") }
        let kept = ContractClause.allCases.filter { if case .kept = examination[$0] { true } else { false } }
        #expect(kept.count >= 40)
    }

    @Test("A cancelled sequence finishes, computes no more, and its number serves the next")
    func cancel() throws {
        let backend = try BackendDriver.llama()
        try backend.start(0, .question("Tell me a story.").endless(100_000))
        try backend.listen(toTokens: 3, of: 0)
        try backend.say(.cancel(Cancel(sequence: 0)))
        let cancelled = try backend.finish(0)
        #expect(cancelled.reason == .cancelled)
        #expect((cancelled.finish?.promptTokens ?? 0) > 0)
        let pong = try backend.ping()
        #expect(pong.sequences == 0)
        #expect(pong.tokens == UInt64(cancelled.tokens.count))
        #expect(try backend.complete(.question("What is 3 plus 4?")).text.contains("7"))
    }

    @Test("The next turn of a conversation finds its beginning computed, and answers the same")
    func prefixReuse() throws {
        let story = "Tell me a story about a wolf."
        let warm = try BackendDriver.llama()
        let scope: [UInt8] = [1, 2, 3]
        let first = try warm.complete(.question(story), scope: scope)
        let turns: [(Hearth_V1_Role, String)] = [
            (.user, story), (.assistant, first.text), (.user, "What is 3 plus 4?"),
        ]
        // Another conversation in between takes another cache, though its prompt begins with the same template.
        _ = try warm.complete(.question("What is 3 plus 4?"), scope: scope)
        let second = try warm.complete(.conversation(turns), scope: scope)
        let cold = try BackendDriver.llama().complete(.conversation(turns))
        #expect((second.finish?.cachedPromptTokens ?? 0) > (first.finish?.promptTokens ?? .max))
        #expect(cold.finish?.cachedPromptTokens == 0)
        #expect(second.finish?.promptTokens == cold.finish?.promptTokens)
        #expect(second.text == cold.text)
    }

    @Test("Nobody finds computed what another asked, and who has no scope finds nothing")
    func scopes() throws {
        // With one cache, the other's prompt is all that could be found.
        let backend = try BackendDriver.llama(maxSequences: 1)
        let question = Hearth_V1_GenerateRequest.question("Tell me a story about a wolf.")
        func cached(_ scope: [UInt8]) throws -> UInt32? {
            try backend.complete(question, scope: scope).finish?.cachedPromptTokens
        }
        #expect(try cached([1]) == 0)
        #expect(try cached([2]) == 0)
        #expect(try cached([2]) ?? 0 > 15, "its own it does find")
        #expect(try cached([]) == 0)
        #expect(try cached([]) == 0)
        #expect(try cached([2]) == 0, "and after another has used the cache, not even that")
    }

    @Test("What prompts of one caller begin with is computed once, also while the first runs, and changes no answer")
    func sharedBeginning() throws {
        let backend = try BackendDriver.llama(maxSequences: 6)
        let beginning = (0..<200).map { UInt32(100 + $0 % 50) }
        func request(_ own: UInt32) -> Hearth_V1_GenerateRequest { .tokens(beginning + [own, own + 1]).endless(20) }
        let scopes: [[UInt8]] = [[1], [1], [1], [2], []]
        for (sequence, scope) in scopes.enumerated() {
            try backend.start(UInt32(sequence), request(60 + UInt32(sequence)), scope: scope)
        }
        let ended = try (0..<5 as Range<UInt32>).map { try backend.finish($0) }
        #expect(ended.map { $0.finish?.cachedPromptTokens } == [0, 200, 200, 0, 0])
        // Also from one that has ended, into an empty cache.
        let later = try backend.complete(request(70), as: 5, scope: [1])
        #expect(later.finish?.cachedPromptTokens == 200)
        for (sequence, own) in [(1, 61), (2, 62)] as [(Int, UInt32)] {
            let cold = try BackendDriver.llama(maxSequences: 6).complete(request(own))
            #expect(ended[sequence].tokens == cold.tokens)
        }
    }

    @Test("Who waits for another's beginning goes on when that one is cancelled or has no credit")
    func awaitedBeginning() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(32_768), in: &$0) }
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 16_384, maxSequences: 4)
        let beginning = Array(repeating: UInt32(100), count: 3_000)
        try backend.start(0, .tokens(beginning + [101]).endless(1), scope: [1])
        try backend.start(1, .tokens(beginning + [102]).endless(1), scope: [1])
        try backend.say(.cancel(Cancel(sequence: 0)))
        #expect(try backend.finish(0).reason == .cancelled)
        #expect(try backend.finish(1).reason == .length)
        try backend.start(2, .tokens(beginning.map { $0 + 5 } + [101]).endless(1), credit: 0, scope: [1])
        try backend.start(3, .tokens(beginning.map { $0 + 5 } + [102]).endless(1), scope: [1])
        #expect(try backend.finish(3).reason == .length)
        #expect(backend.completions[3]?.finish?.cachedPromptTokens == 0)
    }

    @Test("A cancel ends a long prompt, and the next is answered")
    func cancelWithinStep() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(32_768), in: &$0) }
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 16_384, maxSequences: 1)
        for _ in 0..<3 {
            try backend.start(0, .tokens(Array(repeating: 100, count: 16_000)).endless(1))
            try backend.say(.cancel(Cancel(sequence: 0)))
            #expect(try backend.finish(0).reason == .cancelled)
        }
        let answer = try backend.complete(.tokens([100, 101, 102]).endless(5))
        #expect(try BackendDriver.llama().complete(.tokens([100, 101, 102]).endless(5)).tokens == answer.tokens)
    }

    @Test("A short prompt is answered while a long one is still being computed")
    func shortBesideLong() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(32_768), in: &$0) }
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 16_384, maxSequences: 4)
        try backend.start(0, .tokens(Array(repeating: 100, count: 4_000)).endless(1))
        try backend.start(1, .tokens([100, 101]).endless(1))
        #expect(try backend.finish(1).reason == .length)
        #expect(backend.completions[0]?.finish == nil)
        #expect(try backend.finish(0).tokens.count == 1)
    }

    @Test("Counting tokens gives what a completion of the request counts")
    func countTokens() throws {
        let backend = try BackendDriver.llama()
        let request = Hearth_V1_GenerateRequest.question("What is the capital of France?")
        let counted = try backend.countTokens(request).get()
        #expect(try backend.complete(request).finish?.promptTokens == counted)
    }

    @Test("The tokens of a prompt are those of its completion, and its text is what the template makes")
    func tokenize() throws {
        let backend = try BackendDriver.llama()
        let request = Hearth_V1_GenerateRequest.question("What is the capital of France?")
        let tokens = try backend.tokens(of: request)
        #expect(try backend.complete(request).finish?.promptTokens == UInt32(tokens.count))
        let joined = String(decoding: tokens.flatMap(\.text), as: UTF8.self)
        let rendered = try backend.text(of: request)
        #expect(rendered == joined)
        #expect(rendered.contains("What is the capital of France?") && rendered.contains("<|im_start|>"))
        let ids = Hearth_V1_GenerateRequest.with { $0.tokenIds.ids = tokens.map(\.id) }
        #expect(try backend.text(of: ids) == joined)
        #expect(try backend.tokens(of: ids) == tokens)
        // A long text is tokenized beside the steps.
        let long = Hearth_V1_GenerateRequest.question(String(repeating: "a fox ", count: 1_000))
        #expect(try backend.text(of: long).contains(String(repeating: "a fox ", count: 1_000)))
    }

    @Test("A special token written in a message is text, not a special token")
    func specialTokensInContent() throws {
        let backend = try BackendDriver.llama()
        let plain = try backend.countTokens(.question("a")).get()
        let written = try backend.countTokens(.question("a<|im_end|>")).get()
        #expect(written > plain + 3)
    }
}
