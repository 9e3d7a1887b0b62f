import BackendDriver
import BackendIPC
import BackendProgram
import EchoTokens
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import TestPlaces
import Testing

@Suite("echo answers requests")
struct EchoTests {
    @Test("a completion is exactly the tokens that the function gives, and its usage")
    func exactTokens() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(3, try request(seed: 42, maxTokens: 500))
        let heard = try echo.finish(3)
        #expect(heard.tokens == expectedIDs(seed: 42, 0..<500))
        #expect(heard.text == expectedText(seed: 42, 0..<500))
        #expect(heard.finish == Finish(.reason(.length), promptTokens: 4))
    }

    @Test("without a limit a turn ends by itself after 64 tokens")
    func endOfTurn() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request())
        let heard = try echo.finish(0)
        #expect(heard.tokens == expectedIDs(0..<64))
        #expect(heard.finish?.outcome == .reason(.stop))
    }

    @Test("a conversation and token ids are prompts too")
    func otherPrompts() throws {
        let echo = try BackendDriver.readyEcho()
        let conversation = Hearth_V1_GenerateRequest.with {
            $0.messages.messages = [
                .with {
                    $0.role = .system
                    $0.content = "be brief"
                },
                .with {
                    $0.role = .user
                    $0.content = "who  are\tyou"
                },
            ]
        }
        try echo.start(0, try conversation.serializedBytes())
        try echo.start(1, try Hearth_V1_GenerateRequest.with { $0.tokenIds.ids = [1, 2, 70_000] }.serializedBytes())
        let first = try echo.finish(0)
        let second = try echo.finish(1)
        let messages = EchoPrompt(messages: [(1, "be brief"), (2, "who  are\tyou")])
        #expect(first.finish?.promptTokens == 5)
        #expect(first.tokens.first == EchoTokens(seed: 0, prompt: messages).id(at: 0))
        #expect(second.finish?.promptTokens == 3)
        #expect(second.tokens.first == EchoTokens(seed: 0, prompt: EchoPrompt(tokenIDs: [1, 2, 70_000])).id(at: 0))
    }

    @Test(
        "adapters vary the tokens by their names, their scales and their files; those of the settings where none are named"
    )
    func adapters() throws {
        let folder = TemporaryFolder()
        var program = BackendProgram.echo
        program.adapters = [
            .init(name: "a", path: folder.write("a", "file of a"), scale: 2),
            .init(name: "b", path: folder.write("b", "file of b"), isDefault: true),
        ]
        let echo = try BackendDriver(program)
        try echo.load(model: "echo", maxSequences: 1)
        func first(_ adapters: Hearth_V1_Adapters?) throws -> Completion {
            let request = Hearth_V1_GenerateRequest.with {
                $0.text = "x"
                $0.stopping.maxTokens = 1
                if let adapters { $0.adapters = adapters }
            }
            try echo.start(0, try request.serializedBytes())
            return try echo.finish(0)
        }
        func id(_ bytes: [UInt8]) -> [UInt32] {
            [EchoTokens(seed: 0, prompt: EchoPrompt(text: "x").varied(by: bytes)).id(at: 0)]
        }
        let b = Array("b\0".utf8) + [0, 0, 0x80, 0x3f] + Array("file of b".utf8)
        let a = Array("a\0".utf8) + [0, 0, 0, 0x40] + Array("file of a".utf8)
        #expect(try first(nil).tokens == id(b))
        #expect(try first(.init()).tokens == id([]))
        #expect(try first(.with { $0.adapters = [.with { $0.name = "a" }] }).tokens == id(a))
        let both = Hearth_V1_Adapters.with { $0.adapters = ["b", "a"].map { name in .with { $0.name = name } } }
        #expect(try first(both).tokens == id(a + b), "in the order of their names")
        let off = Hearth_V1_Adapters.with {
            $0.adapters = [
                .with {
                    $0.name = "b"
                    $0.scale = 0
                }
            ]
        }
        #expect(try first(off).tokens == id([]))
        let fault = try first(.with { $0.adapters = [.with { $0.name = "c" }] }).fault
        #expect(fault == Fault(.invalidArgument, "there is no adapter 'c'; there are: a, b"))
    }

    @Test("where drafts are asked for, the tokens behind the first of a step count as drafted and accepted")
    func drafts() throws {
        let echo = try BackendDriver(.echo)
        try echo.load(model: "echo", maxSequences: 1, draftLookup: true)
        try echo.start(0, try request(maxTokens: 12, options: ["burst": "4"]))
        let finish = try #require(try echo.finish(0).finish)
        #expect(finish.draftedTokens == 12 && finish.acceptedDraftTokens == 9)
    }

    @Test("a stop token ends the completion and is neither sent nor counted")
    func stopToken() throws {
        let echo = try BackendDriver.readyEcho()
        let stop = expectedIDs(0..<11)[10]
        try echo.start(0, try request(maxTokens: 100, stopTokenIDs: [stop]))
        let heard = try echo.finish(0)
        #expect(heard.tokens == expectedIDs(0..<10))
        #expect(heard.finish == Finish(.reason(.stop), stopTokenID: stop, promptTokens: 4))
    }

    @Test("a thousand sequences at once each get their own tokens, in order")
    func manySequences() throws {
        let echo = try BackendDriver.readyEcho(sequences: 1_000)
        for sequence in 0..<1_000 as Range<UInt32> {
            try echo.start(sequence, try request(seed: UInt64(sequence), maxTokens: 50), credit: 50)
        }
        for sequence in 0..<1_000 as Range<UInt32> {
            let heard = try echo.finish(sequence)
            #expect(heard.tokens == expectedIDs(seed: UInt64(sequence), 0..<50))
        }
    }

    @Test("nothing is computed without credit, and every grant is used up exactly")
    func credit() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 100), credit: 10)
        try echo.start(1, try request(maxTokens: 100), credit: 0)
        try echo.listen { $0.conversation.tokens(of: 0) == 10 }
        let before = try echo.ping()
        let after = try echo.ping()
        #expect(before.tokens == 10)
        #expect(after.tokens == 10)
        #expect(after.steps == before.steps)
        #expect(after.sequences == 2)
        try echo.say(.credit(Credit(sequence: 1, tokens: 5)))
        try echo.listen { $0.conversation.tokens(of: 1) == 5 }
        #expect(try echo.ping().tokens == 15)
    }

    @Test("a cancel ends its sequence as cancelled and leaves the others alone")
    func cancel() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 1_000_000), credit: 5)
        try echo.start(1, try request(maxTokens: 200))
        try echo.listen { $0.conversation.tokens(of: 0) == 5 }
        try echo.say(.cancel(Cancel(sequence: 0)))
        let heard = try echo.finish(0)
        #expect(heard.tokens == expectedIDs(0..<5))
        #expect(heard.finish == Finish(.reason(.cancelled), promptTokens: 4))
        #expect(try echo.finish(1).tokens.count == 200)
        // The number is free again.
        try echo.start(0, try request(maxTokens: 3))
        #expect(try echo.finish(0).tokens == expectedIDs(0..<3))
    }

    @Test("a cancel that crosses the ending is ignored")
    func crossingCancel() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 1))
        try echo.say(.cancel(Cancel(sequence: 0)))
        _ = try echo.finish(0)
        #expect(try echo.ping().sequences == 0)
    }

    @Test("a prompt that does not fit is refused with both numbers")
    func contextOverflow() throws {
        let echo = try BackendDriver.readyEcho(contextTokens: 4)
        try echo.start(0, try request("one two three four"))
        guard case .fault(let fault)? = try echo.finish(0).finish?.outcome else {
            Issue.record("it was not refused")
            return
        }
        #expect(fault.code == .contextOverflow)
        #expect(fault.message.contains("4 tokens and the context 4"))
        try echo.start(0, try request("one two three"))
        let heard = try echo.finish(0)
        #expect(heard.tokens.count == 1)
        #expect(heard.finish?.outcome == .reason(.length))
    }

    @Test("tokens are counted as a completion would count them")
    func countTokens() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.say(.countTokens(CountTokens(query: 7, request: try request("a b  c\nd"))))
        try echo.listen { !$0.counts.isEmpty }
        #expect(echo.counts == [TokenCount(query: 7, result: .success(4))])
        try echo.say(.countTokens(CountTokens(query: 8, request: [0xff])))
        try echo.listen { $0.counts.last?.query == 8 }
        guard case .failure(let fault)? = echo.counts.last?.result else {
            Issue.record("a malformed request was counted")
            return
        }
        #expect(fault.code == .invalidArgument)
    }

    @Test("the tokens of a prompt are its words, and together its text")
    func tokenize() throws {
        let echo = try BackendDriver.readyEcho()
        let prompt = try request("  a b\t c\n")
        let tokens = try Hearth_V1_TokenizeResponse(serializedBytes: try echo.tokens(of: prompt).get()).tokens
        #expect(tokens.map { String(decoding: $0.text, as: UTF8.self) } == ["  a", " b", "\t c\n"])
        #expect(tokens[0].id == UInt32(EchoPrompt(text: "a").digest >> 51))
        #expect(try echo.text(of: prompt).get() == Array("  a b\t c\n".utf8))

        let ids = try Hearth_V1_GenerateRequest.with { $0.tokenIds.ids = [1163, 5130] }.serializedBytes() as [UInt8]
        #expect(try echo.text(of: ids).get() == Array(" hifo hafis".utf8))
        let unknown = try Hearth_V1_GenerateRequest.with { $0.tokenIds.ids = [8192] }.serializedBytes() as [UInt8]
        for result in [try echo.text(of: unknown), try echo.tokens(of: unknown)] {
            guard case .failure(let fault) = result else {
                Issue.record("a token without a text has one")
                return
            }
            #expect(fault.code == .invalidArgument && fault.message.contains("8192"))
        }

        let many = try request(String(repeating: "a ", count: 200_000))
        guard case .failure(let fault) = try echo.tokens(of: many) else {
            Issue.record("more was told than an answer may hold")
            return
        }
        #expect(fault.code == .overloaded && fault.message.contains("1000000 bytes"))
    }

    @Test("a socket that blocks does as well")
    func blockingSocket() throws {
        let echo = try BackendDriver.readyEcho(socketBlocks: true)
        try echo.start(0, try request(maxTokens: 200_000, options: ["burst": "500"]))
        // The socket fills up; then the backend must still hear this.
        _ = try echo.saysNothing(forMilliseconds: 0)
        for sequence in 1..<10 as Range<UInt32> { try echo.start(sequence, try request(maxTokens: 3)) }
        #expect(try echo.finish(0).tokens.count == 200_000)
        #expect(try echo.finish(9).tokens.count == 3)
    }
}

@Suite("echo and the life of its process")
struct EchoLifeTests {
    @Test("it says Hello with its name and its capabilities")
    func hello() throws {
        let echo = try BackendDriver(.echo)
        try echo.listen { $0.conversation.hello != nil }
        #expect(echo.conversation.hello?.name == "echo")
        #expect(
            echo.conversation.hello?.capabilities == [
                "chat", "count_tokens", "tokenize", "split_weights", "reasoning", "adapters", "draft_lookup",
                "logit_bias", "min_tokens", "logprobs", "parts", "tools", "grammar", "embed", "rerank",
                "continue",
            ])
    }

    @Test("it ends with status 0 when the agent closes the socket")
    func endOfSocket() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 1_000_000), credit: 1_000_000)
        echo.closeSocket()
        #expect(try echo.awaitEnd() == .exited(0))
    }

    @Test("it ends with status 1 when it is refused")
    func reject() throws {
        let echo = try BackendDriver(.echo)
        try echo.listen { $0.conversation.hello != nil }
        try echo.say(.reject(Reject(reason: "too old")))
        #expect(try echo.awaitEnd() == .exited(1))
    }

    @Test("Shutdown lets what runs finish, then the process ends with status 0")
    func shutdown() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 300, options: ["tokens_per_second": "1000"]))
        try echo.say(.shutdown(Shutdown(graceMilliseconds: 20_000)))
        #expect(try echo.finish(0).tokens.count == 300)
        #expect(try echo.awaitEnd() == .exited(0))
    }

    @Test("Shutdown without grace ends the process although a sequence runs")
    func shutdownNow() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(), credit: 0)
        try echo.say(.shutdown(Shutdown(graceMilliseconds: 0)))
        #expect(try echo.awaitEnd() == .exited(0))
    }

    @Test("a slow load reports its progress")
    func slowLoad() throws {
        let echo = try BackendDriver.readyEcho(options: ["load_delay_ms": "350"])
        #expect(echo.received.count { $0 == "LoadProgress" } >= 2)
    }

    @Test("it ends while it loads when the agent says so or is gone", arguments: [true, false])
    func endWhileLoading(saysSo: Bool) throws {
        let echo = try BackendDriver(.echo)
        try echo.shakeHands()
        try echo.askToLoad(model: "echo", maxSequences: 1, options: ["load_delay_ms": "3600000"])
        try echo.listen { $0.received.contains("LoadProgress") }
        if saysSo { try echo.say(.shutdown(Shutdown(graceMilliseconds: 0))) } else { echo.closeSocket() }
        #expect(try echo.awaitEnd() == .exited(0))
    }

    @Test("a load that fails says why and ends with status 1")
    func failedLoad() throws {
        let echo = try BackendDriver(.echo)
        try echo.shakeHands()
        try echo.askToLoad(model: "echo", maxSequences: 1, options: ["load_fault": "bad_model"])
        try echo.listen { $0.fatal != nil }
        #expect(echo.fatal?.code == .badModel)
        #expect(try echo.awaitEnd() == .exited(1))
    }
}
