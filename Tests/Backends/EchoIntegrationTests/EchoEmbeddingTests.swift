import BackendDriver
import BackendIPC
import BackendProgram
import EchoTokens
import InferenceMessages
import SwiftProtobuf
import Testing

@Suite("the vectors and scores of echo")
struct EchoEmbeddingTests {
    private func embed(_ texts: [String], pooling: Hearth_V1_Pooling = .unspecified, truncate: Bool = false) throws
        -> [UInt8]
    {
        try Hearth_V1_EmbedRequest.with {
            $0.inputs = texts.map { text in .with { $0.text = text } }
            ($0.pooling, $0.truncate) = (pooling, truncate)
        }.serializedBytes()
    }

    private func vector(_ text: String, _ count: Int, pooling: Int32 = 0) -> [Float] {
        (0..<count).map { EchoVectors.number(at: $0, pooling: pooling, of: EchoPrompt(text: text)) }
    }

    @Test("the worked example of the README holds")
    func example() {
        #expect(vector("hello world", 3) == [0.6668848991394043, -0.5053726434707642, -0.7155542373657227])
        #expect(EchoVectors.score(query: "hello", document: "world") == 3.189206123352051)
    }

    @Test("vectors are a function of the input and the pooling, for every kind of input")
    func vectors() throws {
        let echo = try BackendDriver.readyEcho(options: ["dimensions": "5"])
        #expect(echo.conversation.loaded?.embeddingDimensions == 5)
        let answer = try echo.embed(.embed, try embed(["a b", "c"]))
        #expect(answer.fault == nil && answer.tokens == [2, 1] && answer.leftOutTokens == [])
        #expect(answer.values == vector("a b", 5) + vector("c", 5))
        #expect(try echo.embed(.embed, try embed(["c"], pooling: .mean)).values == vector("c", 5, pooling: 1))
        let others =
            try Hearth_V1_EmbedRequest.with {
                $0.inputs = [
                    .with { $0.tokenIds.ids = [1, 2] },
                    .with { $0.messages.messages = [.with { ($0.role, $0.content) = (.user, "hi") }] },
                ]
            }.serializedBytes() as [UInt8]
        let prompts = [EchoPrompt(tokenIDs: [1, 2]), EchoPrompt(messages: [(role: 2, content: "hi")])]
        #expect(
            try echo.embed(.embed, others).values
                == prompts.flatMap { prompt in (0..<5).map { EchoVectors.number(at: $0, pooling: 0, of: prompt) } })
    }

    @Test("an input that does not fit is refused with its place and both numbers, or cut")
    func tooLong() throws {
        let echo = try BackendDriver.readyEcho(contextTokens: 3)
        let refused = try echo.embed(.embed, try embed(["a", "b c d e"]))
        #expect(refused.fault?.code == .contextOverflow && refused.tokens == [1], "what was computed is told")
        #expect(refused.fault?.message == "inputs[1] has 4 tokens, and the context 3; shorten it, or set truncate")
        let cut = try echo.embed(.embed, try embed(["a", "b c d e"], truncate: true))
        #expect(cut.tokens == [1, 3] && cut.leftOutTokens == [0, 1])
        #expect(cut.values == vector("a", 64) + vector("b c d", 64))
        let ranking =
            try Hearth_V1_RerankRequest.with {
                ($0.query, $0.documents, $0.truncate) = ("q", ["x y", "x y z"], true)
            }.serializedBytes() as [UInt8]
        let scores = try echo.embed(.rerank, ranking)
        #expect(scores.values == ["x y", "x y"].map { EchoVectors.score(query: "q", document: $0) })
        #expect(scores.tokens == [3, 3] && scores.leftOutTokens == [0, 1])
    }

    @Test("a cancelled query ends at once, and tokens come meanwhile")
    func cancelled() throws {
        let echo = try BackendDriver.readyEcho(options: ["embed_delay_ms": "3600000"])
        let query = try echo.beginEmbedding(.embed, try embed(["a"]))
        try echo.start(0, try request(maxTokens: 100))
        #expect(try echo.finish(0).tokens.count == 100)
        #expect(echo.embedded.isEmpty)
        try echo.say(.cancelEmbed(CancelEmbed(query: query)))
        try echo.listen { !$0.embedded.isEmpty }
        #expect(echo.embedded[0].query == query && echo.embedded[0].fault?.code == .overloaded)
        #expect(!echo.conversation.isBusy)
    }

    @Test("a model that lacks capabilities says so")
    func lacking() throws {
        let echo = try BackendDriver.readyEcho(options: ["lacking": "generate,embed"])
        #expect(echo.conversation.loaded?.lacking == ["generate", "embed"])
        #expect(!echo.conversation.isCapable(of: "embed") && echo.conversation.isCapable(of: "rerank"))
    }
}
