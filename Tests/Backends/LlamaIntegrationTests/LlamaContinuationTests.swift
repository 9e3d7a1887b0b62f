import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import SwiftProtobuf
import Testing

@Suite("How the llama backend goes on behind tokens of an earlier process", .serialized)
struct LlamaContinuationTests {
    private typealias Request = Hearth_V1_GenerateRequest

    private static let story = Request.question("Tell me a story about a fox.").endless(40)

    private static func drawn(_ change: (inout Hearth_V1_Sampling) -> Void = { _ in }) -> Request {
        story.with {
            ($0.sampling.temperature, $0.sampling.seed) = (0.8, 7)
            change(&$0.sampling)
        }
    }

    /// Each with what another sampler has to know of the tokens before.
    private static let requests: [(String, Request)] = [
        ("greedy", story),
        ("to its end", .question("What is the capital of France?")),
        ("drawn", drawn()),
        ("drawn at any temperature", drawn { ($0.temperature, $0.topK, $0.topP, $0.minP) = (2, 0, 1, 0) }),
        ("penalties", drawn { ($0.frequencyPenalty, $0.presencePenalty, $0.repetitionPenalty) = (0.5, 0.5, 1.2) }),
        ("DRY", drawn { ($0.dryMultiplier, $0.dryAllowedLength) = (5, 1) }),
        ("XTC", drawn { ($0.xtcProbability, $0.xtcThreshold, $0.temperature) = (0.5, 0.05, 1.5) }),
        // Most of what is drawn first is refused, and drawn again.
        ("a form", drawn { $0.temperature = 2 }.with { $0.format.grammar = #"root ::= ([a-z]{2,5} " ")*"# }),
        ("a greedy form", story.with { $0.format.grammar = #"root ::= "{" [a-m ]* "}""# }),
        (
            "the least tokens, and stops",
            Request.question("What is 3 plus 4?").with {
                $0.stopping.minTokens = 12
                $0.stopping.stop = ["zzz", "th"]
            }
        ),
    ]

    @Test("what comes in two sequences is what comes in one, wherever it is cut")
    func same() throws {
        let backend = try BackendDriver.llama()
        for (name, request) in Self.requests {
            let whole = try backend.complete(request)
            #expect(whole.fault == nil && whole.tokens.count > 3, "\(name): \(String(describing: whole.finish))")
            for count in Set([1, 2, whole.tokens.count / 2, whole.tokens.count - 1]) {
                let joined = try backend.completeInTwo(request.serializedBytes(), after: count)
                #expect(joined.isSame(as: whole), "\(name) after \(count): \(joined.text), and not \(whole.text)")
            }
        }
    }

    @Test("what an answer is told apart by, and a stop, may lie on both sides of the cut")
    func toldApart() throws {
        let backend = try LlamaTemplateTests.thinker()
        let question = Request.question("What is the capital of France?")
        for request in [question, question.with { $0.stopping.stop = ["France</th"] }] {
            let whole = try backend.complete(request)
            #expect(whole.reasoning.hasPrefix(" capital of"))
            for count in 1..<whole.tokens.count {
                let joined = try backend.completeInTwo(request.serializedBytes(), after: count)
                #expect(joined.isSame(as: whole), "after \(count): \(joined.reasoning)/\(joined.text)")
            }
        }
    }

    @Test("drafted tokens change nothing of it, and the prompt's cache is used")
    func draftsAndCache() throws {
        let list = Request.text(String(repeating: "one two three four five six seven eight ", count: 6)).endless(60)
        let backend = try BackendDriver.unloadedLlama()
        try backend.load(model: "demo", draftLookup: true)
        let asked: [UInt8] = try list.with { ($0.sampling.temperature, $0.sampling.seed) = (0.7, 5) }.serializedBytes()
        try backend.start(0, asked, scope: [1])
        let whole = try backend.finish(0)
        let prompt = try #require(whole.finish?.promptTokens)
        try backend.start(0, asked, scope: [1], behind: Array(whole.tokens[..<30]))
        let rest = try backend.finish(0)
        #expect(rest.tokens == Array(whole.tokens[30...]))
        #expect(rest.finish?.promptTokens == prompt && rest.finish?.cachedPromptTokens == prompt)
        #expect(rest.finish?.acceptedDraftTokens ?? 0 > 0)
        // Whoever goes on behind the same beginning at the same time takes over what the other one computes.
        for sequence in 0..<2 as Range<UInt32> {
            try backend.start(sequence, asked, scope: [2], behind: Array(whole.tokens[..<30]))
        }
        for sequence in 0..<2 as Range<UInt32> {
            let rest = try backend.finish(sequence)
            #expect(rest.tokens == Array(whole.tokens[30...]))
            #expect(rest.finish?.cachedPromptTokens ?? 0 <= prompt)
        }
    }

    @Test("tokens that cannot be a completion's are refused by name")
    func refused() throws {
        let backend = try BackendDriver.llama(contextTokens: 64)
        func fault(_ request: Request, behind tokens: [UInt32]) throws -> Fault {
            try backend.start(0, request.serializedBytes(), behind: tokens)
            return try #require(try backend.finish(0).fault)
        }
        let unknown = try fault(Self.story, behind: [3, 1_024])
        #expect(unknown.code == .invalidArgument)
        #expect(unknown.message == "generated_token_ids[1] is 1024; allowed: a token of \"demo\", 0 to 1023")
        let long = try fault(Self.story.with { $0.stopping.clearMaxTokens() }, behind: Array(repeating: 3, count: 63))
        #expect(long.code == .contextOverflow && long.message.contains("63 were generated"))
        let whole = try backend.complete(Self.story.with { $0.stopping.maxTokens = 4 }).tokens
        let unfit = try fault(Self.story.with { $0.format.grammar = #"root ::= [0-9]*"# }, behind: whole)
        #expect(unfit.code == .invalidArgument && unfit.message.hasPrefix("generated_token_ids are not such as format"))
        #expect(try backend.complete(Self.story.with { $0.stopping.maxTokens = 4 }).tokens == whole)
    }
}
