import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import Testing

@Suite("What the llama backend completes", .serialized)
struct LlamaCompletionTests {
    @Test(
        "The demo model answers a short question",
        arguments: [
            ("What is 3 plus 4?", "7"), ("What is the capital of France?", "Paris"), ("Who are you?", "Hearth"),
            ("What color is the sky?", "blue"),
        ])
    func answer(question: String, word: String) throws {
        let backend = try BackendDriver.llama()
        let completion = try backend.complete(.question(question))
        #expect(completion.text.contains(word))
        #expect(!completion.text.contains("<|"), "special tokens have no text")
        #expect(completion.reason == .stop)
        #expect((completion.finish?.promptTokens ?? 0) > 5)
    }

    @Test("It tells a story about what was asked for")
    func story() throws {
        let backend = try BackendDriver.llama()
        let completion = try backend.complete(.question("Tell me a story about a fox."))
        #expect(completion.text.contains("fox"))
        #expect(completion.tokens.count > 60)
        #expect(completion.reason == .stop)
    }

    @Test("Bytes of a scalar that two tokens share come out as one scalar")
    func splitScalar() throws {
        let backend = try BackendDriver.llama()
        let completion = try backend.complete(.question("Show me a fox."))
        #expect(completion.text.contains("🦊"))
    }

    @Test("Sixteen at once complete as each of them does alone")
    func batching() throws {
        let questions = [
            "What is 3 plus 4?", "What is the capital of France?", "Tell me a story about a bear.", "Hello",
            "Count to ten.", "What is the opposite of hot?", "Name three animals.", "What is 6 * 7?",
        ]
        let requests = (0..<16).map { Hearth_V1_GenerateRequest.question(questions[$0 % 8]) }
        let alone = try BackendDriver.llama(maxSequences: 1)
        let expected = try requests.map { try alone.complete($0).text }
        let together = try BackendDriver.llama()
        for (sequence, request) in requests.enumerated() { try together.start(UInt32(sequence), request) }
        let completions = try together.finish(0..<16)
        #expect(completions.map(\.text) == expected)
        #expect(completions.allSatisfy { $0.reason == .stop })
    }

    @Test("The same seed draws the same tokens, another seed others")
    func seeds() throws {
        let backend = try BackendDriver.llama()
        func story(seed: UInt64) throws -> [UInt32] {
            try backend.complete(
                .question("Tell me a story.").with {
                    $0.sampling.temperature = 1
                    $0.sampling.seed = seed
                }
            ).tokens
        }
        let first = try story(seed: 11)
        #expect(try story(seed: 11) == first)
        #expect(try story(seed: 12) != first)
    }

    @Test("A penalty on what was said changes what is said")
    func penalties() throws {
        let backend = try BackendDriver.llama()
        let plain = try backend.complete(.question("Count to twenty."))
        let penalized = try backend.complete(
            .question("Count to twenty.").with { $0.sampling.frequencyPenalty = 2 }.endless(60))
        #expect(plain.tokens != penalized.tokens)
    }

    @Test("A stop token ends the completion, is named, and is not emitted")
    func stopToken() throws {
        let backend = try BackendDriver.llama()
        let whole = try backend.complete(.question("What is the capital of France?"))
        try #require(whole.tokens.count > 3)
        let stop = whole.tokens[3]
        let cut = try backend.complete(
            .question("What is the capital of France?").with { $0.stopping.stopTokenIds = [stop] })
        #expect(cut.tokens == whole.tokens.prefix { $0 != stop })
        #expect(cut.reason == .stop)
        #expect(cut.finish?.stopTokenID == stop)
    }

    @Test("max_tokens is what comes, and the reason is the length")
    func maxTokens() throws {
        let backend = try BackendDriver.llama()
        let completion = try backend.complete(
            .question("Tell me a story.").with { $0.stopping.maxTokens = 7 })
        #expect(completion.tokens.count == 7)
        #expect(completion.reason == .length)
    }

    @Test("Past the end of its turn the model goes on until the context is full")
    func contextFull() throws {
        let backend = try BackendDriver.llama()
        let completion = try backend.complete(.question("Hello").endless(1_000_000))
        #expect(completion.reason == .length)
        let context = try #require(backend.conversation.loaded).maxContextTokens
        #expect(UInt32(completion.tokens.count) + (completion.finish?.promptTokens ?? 0) == context)
    }

    @Test("Raw text is continued without a template")
    func rawText() throws {
        let backend = try BackendDriver.llama()
        let completion = try backend.complete(.text("Once upon a time there was a little").endless(20))
        #expect(completion.tokens.count == 20)
        #expect(completion.text.hasPrefix(" "))
    }
}
