import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import Testing

@Suite("What text the llama backend takes")
struct LlamaTextTests {
    private static let runs = ["a", "1", "!", " ", "中"].map { String(repeating: $0, count: 30_000) }

    /// One name of each way in which llama.cpp splits text.
    private static let preTokenizers = [
        "default", "llama3", "minicpm5", "deepseek-llm", "deepseek-coder", "deepseek-v3", "spark2_5", "youtu", "falcon",
        "mpt", "starcoder", "gpt-2", "jais-2", "gemma4", "sarvam-moe", "whitespace", "qwen2", "qwen35", "poro-chat",
        "viking", "tekken", "exaone-moe", "chameleon", "gpt-4o", "granite-embed-multi-97m", "tiny_aya", "superbpe",
        "bailingmoe", "seed-coder", "kimi-k2", "ufakzeka", "grok-2", "afmoe", "laguna", "hy_v4",
    ]

    @Test(
        "Thirty thousand letters, digits, signs, blanks and ideographs get an answer, whatever splits them",
        arguments: preTokenizers)
    func longRuns(preTokenizer: String) throws {
        let model = try ChangedModel(preTokenizer: preTokenizer)
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 16_384, maxSequences: 1)
        for run in Self.runs {
            guard case .failure(let fault) = try backend.countTokens(.text(run)) else { continue }
            switch preTokenizer {
            case "superbpe": #expect(fault.message.contains("takes at most 4096"), "\(fault)")
            // It leaves blanks in its words, which no merge of this vocabulary may have: an assertion of llama.cpp.
            case "whitespace": #expect(fault.message.contains("cannot take this text"), "\(fault)")
            default: #expect(fault.code == .contextOverflow, "\(fault)")
            }
        }
        // A blank and a sign at the end, where some patterns look ahead.
        _ = try backend.countTokens(.text(Self.runs[3] + "a" + Self.runs[0] + "'s a"))
        let answer = try backend.complete(.text("Once upon a time").endless(3))
        #expect(answer.tokens.count == 3, "it lives")
    }

    @Test(
        "The longest run that is taken does not overflow the stack, and a longer one is refused by name",
        arguments: [("gpt-4o", "a"), ("tekken", "!"), ("deepseek-v3", "\n"), ("exaone-moe", "a ")])
    func longestRun(preTokenizer: String, unit: String) throws {
        let model = try ChangedModel(preTokenizer: preTokenizer)
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 32_768, maxSequences: 1)
        let longest = String(repeating: unit, count: 65_536 / unit.utf8.count)
        for request in [Hearth_V1_GenerateRequest.text(longest), .question(longest)] {
            if case .failure(let fault) = try backend.countTokens(request) { #expect(fault.code == .contextOverflow) }
            let tooLong = try #require(try backend.complete(request.with { $0.text = longest + unit }).fault)
            #expect(tooLong.code == .invalidArgument)
            #expect(tooLong.message.contains("takes at most 65536"))
        }
        #expect(try backend.complete(.text("Once upon a time").endless(3)).tokens.count == 3)
    }

    @Test("While a long text becomes tokens, others get theirs, pings are answered, and it can be cancelled")
    func longTextsWait() throws {
        let model = try ChangedModel(preTokenizer: "superbpe")
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 16_384, maxSequences: 4)
        // Each of the runs is looked at in a time that grows with its square.
        let slow = String(repeating: String(repeating: "1", count: 4_000) + " ", count: 10)
        try backend.start(0, .text(slow))
        try backend.start(1, .text(slow + "2"))
        try backend.start(2, .text("Once upon a time").endless(3))
        #expect(try backend.finish(2).tokens.count == 3)
        #expect(backend.completions[0]?.finish == nil)
        _ = try backend.ping()
        for sequence in [0, 1] as [UInt32] { try backend.say(.cancel(Cancel(sequence: sequence))) }
        #expect(try backend.finish([0, 1]).map(\.reason) == [.cancelled, .cancelled])
        // Its number serves the next at once, which does not get what the text before it became.
        #expect(try backend.complete(.text("Once upon a time").endless(3)).finish?.promptTokens ?? 0 < 20)
    }

    @Test("Messages without a word are counted before they are put into the template")
    func manyEmptyMessages() throws {
        let backend = try BackendDriver.llama()
        let messages = Array(repeating: (Hearth_V1_Role.user, ""), count: 500_000)
        let fault = try #require(try backend.complete(.conversation(messages)).fault)
        #expect(fault.code == .contextOverflow)
        #expect(fault.message.contains("at least 500000"))
    }
}
