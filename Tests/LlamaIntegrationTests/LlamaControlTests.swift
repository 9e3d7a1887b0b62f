import BackendIPC
import InferenceMessages
import Testing

@Suite("How the llama backend is controlled", .serialized)
struct LlamaControlTests {
    @Test("Without credit nothing is computed; with more it goes on where it was")
    func credit() throws {
        let backend = try DrivenBackend()
        let request = Hearth_V1_GenerateRequest.question("Tell me a story about a dragon.")
        let whole = try backend.complete(request)
        let before = try backend.ping().tokens
        try backend.start(1, request, credit: 5)
        while (backend.completions[1]?.tokens.count ?? 0) < 5 { try backend.receive() }
        let stalled = try backend.ping()
        #expect(stalled.tokens == before + 5)
        #expect(stalled.sequences == 1)
        // A neighbour computes meanwhile, the sequence without credit does not.
        let neighbour = try backend.complete(.question("Hello"))
        #expect(neighbour.reason == .stop)
        #expect(try backend.ping().tokens == before + 5 + UInt64(neighbour.tokens.count))
        try backend.say(.credit(Credit(sequence: 1, tokens: 1_000)))
        #expect(try backend.finish([1])[0].tokens == whole.tokens)
    }

    @Test("A cancelled sequence finishes, computes no more, and its number serves the next")
    func cancel() throws {
        let backend = try DrivenBackend()
        try backend.start(0, .question("Tell me a story.").endless(100_000))
        while (backend.completions[0]?.tokens.count ?? 0) < 3 { try backend.receive() }
        try backend.say(.cancel(Cancel(sequence: 0)))
        let cancelled = try backend.finish([0])[0]
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
        let warm = try DrivenBackend()
        let first = try warm.complete(.question(story))
        let turns: [(Hearth_V1_Role, String)] = [
            (.user, story), (.assistant, first.text), (.user, "What is 3 plus 4?"),
        ]
        let second = try warm.complete(.conversation(turns))
        let cold = try DrivenBackend().complete(.conversation(turns))
        #expect((second.finish?.cachedPromptTokens ?? 0) > (first.finish?.promptTokens ?? .max))
        #expect(cold.finish?.cachedPromptTokens == 0)
        #expect(second.finish?.promptTokens == cold.finish?.promptTokens)
        #expect(second.text == cold.text)
    }

    @Test("Counting tokens gives what a completion of the request counts")
    func countTokens() throws {
        let backend = try DrivenBackend()
        let request = Hearth_V1_GenerateRequest.question("What is the capital of France?")
        let counted = try backend.countTokens(request).get()
        #expect(try backend.complete(request).finish?.promptTokens == counted)
    }

    @Test("A special token written in a message is text, not a special token")
    func specialTokensInContent() throws {
        let backend = try DrivenBackend()
        let plain = try backend.countTokens(.question("a")).get()
        let written = try backend.countTokens(.question("a<|im_end|>")).get()
        #expect(written > plain + 3)
    }
}
