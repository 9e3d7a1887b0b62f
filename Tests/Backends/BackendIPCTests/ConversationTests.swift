import BackendIPC
import ByteBuffer
import Testing
import WireFormat

@Suite("BackendConversation")
struct ConversationTests {
    /// A conversation after `Loaded`, with four sequences.
    private func ready(
        _ end: BackendConversation.End = .agent, contextTokens: UInt32 = 100,
        capabilities: [String] = ["count_tokens"], dimensions: UInt32 = 0, lacking: [String] = []
    ) throws -> BackendConversation {
        var conversation = BackendConversation(end: end)
        try conversation.backendSays(.hello(Hello(name: "b", version: "1", capabilities: capabilities)))
        try conversation.agentSays(
            .welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
        try conversation.agentSays(.load(Load(model: "m", maxSequences: 8)))
        try conversation.backendSays(.loadProgress(LoadProgress(fraction: 0.5)))
        try conversation.backendSays(
            .loaded(
                Loaded(
                    maxContextTokens: contextTokens, maxSequences: 4, embeddingDimensions: dimensions, lacking: lacking)
            ))
        return conversation
    }

    private func run(
        _ conversation: inout BackendConversation, _ sequence: UInt32, tokens: Int = 0, text: Int = 0,
        reasoning: Int = 0, finish: Finish? = nil
    ) throws {
        let ids = [UInt8](repeating: 7, count: tokens)
        let characters = [UInt8](repeating: 0x61, count: text + reasoning)
        try ids.withUnsafeBytes { ids in
            try characters.withUnsafeBytes { characters in
                let rare = RareParts(reasoning: UnsafeRawBufferPointer(rebasing: characters[text...])).encoded
                try rare.withUnsafeBytes { rare in
                    try conversation.backendRan(
                        TokenRun(
                            TokenRunView(
                                sequence: sequence, tokenCount: tokens, packedTokenIDs: ids,
                                text: UnsafeRawBufferPointer(rebasing: characters[..<text]), rare: rare),
                            finish: finish))
                }
            }
        }
    }

    /// A GenerateRequest { text = "hi", stopping = { max_tokens = 2, stop_token_ids = [7, 300] } }.
    private let stopping: [UInt8] = [0x22, 2, 0x68, 0x69, 0x3a, 7, 0x08, 2, 0x1a, 3, 7, 0xac, 2]

    @Test("what a request lets come does come, to its last token, and its ends are believed")
    func honestEnds() throws {
        let ends: [(tokens: Int, finish: Finish)] = [
            (2, Finish(.reason(.length), promptTokens: 5)), (1, Finish(.reason(.stop), promptTokens: 5)),
            (0, Finish(.reason(.stop), stopTokenID: 7, promptTokens: 5)),
            (1, Finish(.reason(.stop), stopTokenID: 300, promptTokens: 99)),
            // The context has 100 tokens; some engines keep a few of them.
            (1, Finish(.reason(.length), promptTokens: 99)), (1, Finish(.reason(.length), promptTokens: 91)),
            // A prompt that does not fit is refused with its length.
            (0, Finish(.fault(Fault(.contextOverflow, "too long")), promptTokens: 5_000)),
        ]
        for (tokens, finish) in ends {
            var conversation = try ready()
            try conversation.agentSays(.start(Start(sequence: 0, credit: 50, request: stopping)))
            if tokens > 0 { try run(&conversation, 0, tokens: tokens) }
            try run(&conversation, 0, finish: finish)
            #expect(!conversation.isRunning(0), "\(finish)")
        }
        var unbounded = try ready()
        try unbounded.agentSays(.start(Start(sequence: 0, credit: 500, request: [])))
        try run(&unbounded, 0, tokens: 99)
        try run(&unbounded, 0, finish: Finish(.reason(.length), promptTokens: 1))
        // The next sequence of this number is another one's.
        try unbounded.agentSays(.start(Start(sequence: 0, credit: 500, request: stopping)))
        #expect(sentence { try run(&unbounded, 0, tokens: 3) }.contains("at most 2"))
    }

    @Test("bounds that are handed over hold instead of those that would be read out of the request")
    func handedOver() throws {
        var conversation = try ready()
        let bounds = SequenceBounds(tokensMax: 3, stopTokenIDs: [9])
        try conversation.agentSays(.start(Start(sequence: 0, credit: 50, request: stopping, bounds: bounds)))
        try run(&conversation, 0, tokens: 3)
        #expect(sentence { try run(&conversation, 0, tokens: 1) }.contains("at most 3"))
        var stopped = try ready()
        try stopped.agentSays(.start(Start(sequence: 0, credit: 50, request: stopping, bounds: bounds)))
        #expect(
            sentence { try run(&stopped, 0, finish: Finish(.reason(.stop), stopTokenID: 7, promptTokens: 5)) }
                != "accepted")
        try run(&stopped, 0, finish: Finish(.reason(.stop), stopTokenID: 9, promptTokens: 5))
    }

    @Test("credit is spent by tokens, refilled by Credit, and forgotten at the end")
    func credit() throws {
        var conversation = try ready()
        try conversation.agentSays(.start(Start(sequence: 2, credit: 3, request: [])))
        #expect(conversation.runningSequences == 1)
        try run(&conversation, 2, tokens: 3, text: 12)
        #expect(conversation.credit(of: 2) == 0)
        #expect(sentence { try run(&conversation, 2, tokens: 1) }.contains("sent 1 tokens with a credit of 0"))
        try conversation.agentSays(.credit(Credit(sequence: 2, tokens: 5)))
        try run(&conversation, 2, tokens: 1)
        #expect(conversation.credit(of: 2) == 4)
        #expect(conversation.tokens(of: 2) == 4)
        try run(&conversation, 2, finish: Finish(.reason(.stop)))
        #expect(conversation.runningSequences == 0)
        #expect(conversation.credit(of: 2) == 0)
        try conversation.agentSays(.start(Start(sequence: 2, credit: 1, request: [])))
        #expect(conversation.credit(of: 2) == 1)
    }

    @Test("the tokens of a sequence can be counted in 32 bits, whatever context its backend offers")
    func longestSequence() throws {
        var conversation = try ready(contextTokens: .max)
        try conversation.agentSays(.start(Start(sequence: 0, credit: .max, request: [])))
        func computed(_ count: UInt32) -> TokenRun { TokenRun(TokenRunView(sequence: 0, tokenCount: Int(count))) }
        try conversation.backendRan(computed(.max - 1))
        #expect(sentence { try conversation.backendRan(computed(2)) }.contains("with a credit of 1"))
        try conversation.backendRan(computed(1))
        try conversation.agentSays(.credit(Credit(sequence: 0, tokens: .max)))
        #expect(sentence { try conversation.backendRan(computed(1)) }.contains("4294967296 tokens in a context"))
        #expect(conversation.tokens(of: 0) == UInt64(UInt32.max))
        #expect(
            sentence {
                let end = Finish(.reason(.length), promptTokens: .max)
                try conversation.backendRan(TokenRun(TokenRunView(sequence: 0), finish: end))
            }.contains("4294967295 prompt tokens"))
    }

    @Test("a cache scope has at most 32 bytes")
    func cacheScope() throws {
        var conversation = try ready()
        let scope = [UInt8](repeating: 7, count: 33)
        #expect(
            sentence {
                try conversation.agentSays(.start(Start(sequence: 2, credit: 1, request: [], cacheScope: scope)))
            }.contains("33 bytes; at most 32"))
        try conversation.agentSays(
            .start(Start(sequence: 2, credit: 1, request: [], cacheScope: Array(scope.dropLast()))))
    }

    @Test("a backend of revision 1 is not told what came with revision 2")
    func olderBackend() {
        let start = Start(sequence: 2, credit: 1, request: [9], cacheScope: [7])
        #expect(start.spoken(in: 2) == start)
        #expect(start.spoken(in: 1) == Start(sequence: 2, credit: 1, request: [9]))
        #expect(ContractLimits.revisions == 1...2)
        for (most, common) in [(1, 1), (2, 2), (9, 2)] as [(UInt32, UInt32)] {
            let hello = Hello(minRevision: 1, maxRevision: most, name: "a", version: "")
            #expect(BackendConversation.commonRevision(hello) == common)
        }
    }

    @Test("a batch is walked and held against the credit run by run")
    func batch() throws {
        var conversation = try ready()
        try conversation.agentSays(.start(Start(sequence: 0, credit: 2, request: [])))
        // Sequence 0 with two tokens, then sequence 0 with one more.
        let bytes: [UInt8] = [0x0a, 6, 0x08, 0, 0x12, 2, 1, 2, 0x0a, 5, 0x08, 0, 0x12, 1, 3]
        try bytes.withUnsafeBytes { memory in
            var batch = TokenBatchView(memory)
            let first = try conversation.next(&batch)
            #expect(first?.tokenIDs == [1, 2])
            #expect(throws: ContractViolation.self) { _ = try conversation.next(&batch) }
        }
    }

    @Test("breaking the contract with tokens yields a sentence that names the sequence and the rule")
    func tokenViolations() throws {
        let conversation = try {
            var conversation = try ready()
            try conversation.agentSays(.start(Start(sequence: 1, credit: 2, request: [])))
            try conversation.agentSays(.start(Start(sequence: 2, credit: 50, request: stopping)))
            try conversation.agentSays(.start(Start(sequence: 3, credit: 500, request: [])))
            return conversation
        }()
        let cases: [(String, (inout BackendConversation) throws -> Void)] = [
            ("sequence 9; 4 were offered", { try run(&$0, 9, tokens: 1) }),
            ("sequence 4294967295; 4", { try run(&$0, .max, tokens: 1) }),
            ("sequence 0, which is not running", { try run(&$0, 0, tokens: 1) }),
            ("without tokens and without finish", { try run(&$0, 1) }),
            ("bytes of text for 1 tokens", { try run(&$0, 1, tokens: 1, text: 1_025) }),
            ("bytes of text for 0 tokens", { try run(&$0, 1, text: 1) }),
            ("without a reason", { try run(&$0, 1, finish: Finish(.unspecified)) }),
            ("sent 3 tokens of at most 2, its stopping.max_tokens", { try run(&$0, 2, tokens: 3) }),
            ("sent 101 tokens in a context of 100", { try run(&$0, 3, tokens: 101) }),
            (
                "100 prompt tokens and 1 of the completion in a context of 100",
                { try run(&$0, 1, tokens: 1, finish: Finish(.reason(.stop), promptTokens: 100)) }
            ),
            (
                "4294967295 prompt tokens and 0",
                {
                    try $0.agentSays(.cancel(Cancel(sequence: 1)))
                    try run(&$0, 1, finish: Finish(.reason(.cancelled), promptTokens: .max))
                }
            ),
            (
                "for its length after 1 tokens; neither",
                { try run(&$0, 2, tokens: 1, finish: Finish(.reason(.length), promptTokens: 90)) }
            ),
            (
                "at the stop token 9, which is none",
                { try run(&$0, 2, finish: Finish(.reason(.stop), stopTokenID: 9)) }
            ),
            (
                "with a stop_token_id, and not with FINISH_REASON_STOP",
                { try run(&$0, 2, tokens: 2, finish: Finish(.reason(.length), stopTokenID: 7)) }
            ),
            ("no Cancel was sent", { try run(&$0, 1, finish: Finish(.reason(.cancelled))) }),
            (
                "9 cached prompt tokens of 8",
                { try run(&$0, 1, finish: Finish(.reason(.stop), promptTokens: 8, cachedPromptTokens: 9)) }
            ),
            (
                "2 accepted tokens of 1 that were drafted",
                {
                    var finish = Finish(.reason(.stop))
                    (finish.draftedTokens, finish.acceptedDraftTokens) = (1, 2)
                    try run(&$0, 1, tokens: 2, finish: finish)
                }
            ),
            (
                "2 accepted tokens of 3 that were drafted, and 1 that were sent",
                {
                    var finish = Finish(.reason(.stop))
                    (finish.draftedTokens, finish.acceptedDraftTokens) = (3, 2)
                    try run(&$0, 1, tokens: 1, finish: finish)
                }
            ),
            (
                "longer than 1024 bytes",
                { try run(&$0, 1, finish: Finish(.fault(Fault(.internal, String(repeating: "x", count: 1_025))))) }
            ),
            (
                "sequence 1, which is not running",
                {
                    try run(&$0, 1, finish: Finish(.reason(.stop)))
                    try run(&$0, 1, finish: Finish(.reason(.stop)))
                }
            ),
        ]
        for (part, act) in cases {
            var conversation = conversation
            let sentence = sentence { try act(&conversation) }
            #expect(sentence.contains(part), "\(sentence)")
        }
    }

    @Test("reasoning and stop strings are a backend's that named them in its Hello")
    func partsOfAnswers() throws {
        // A GenerateRequest { stopping = { stop = ["a", "b"] } }.
        let stops: [UInt8] = [0x3a, 6, 0x12, 1, 0x61, 0x12, 1, 0x62]
        func running(_ capabilities: [String]) throws -> BackendConversation {
            var conversation = try ready(capabilities: capabilities)
            try conversation.agentSays(.start(Start(sequence: 1, credit: 9, request: stops)))
            return conversation
        }
        var able = try running(["reasoning", "stop_strings"])
        try run(&able, 1, tokens: 2, text: 1_024, reasoning: 1_024)
        try run(&able, 1, reasoning: 16 << 10, finish: Finish(.reason(.stop), stop: 1))

        let cases: [([String], String, (inout BackendConversation) throws -> Void)] = [
            (["stop_strings"], "sent reasoning, and Hello", { try run(&$0, 1, tokens: 1, reasoning: 1) }),
            (["reasoning"], "with a stop, and Hello", { try run(&$0, 1, finish: Finish(.reason(.stop), stop: 0)) }),
            (
                ["reasoning"], "sent 1025 bytes of text for 1 tokens",
                { try run(&$0, 1, tokens: 1, text: 1, reasoning: 1_024) }
            ),
            (
                ["reasoning"], "bytes of text for 0 tokens",
                { try run(&$0, 1, text: 1, reasoning: 16 << 10, finish: Finish(.reason(.stop))) }
            ),
            (
                ["stop_strings"], "at the string 2 of its stopping.stop, counted from 0; it has 2",
                { try run(&$0, 1, finish: Finish(.reason(.stop), stop: 2)) }
            ),
            (
                ["stop_strings"], "with a stop, and not with FINISH_REASON_STOP alone",
                { try run(&$0, 1, tokens: 9, finish: Finish(.reason(.length), stop: 1, promptTokens: 91)) }
            ),
        ]
        for (capabilities, part, act) in cases {
            var conversation = try running(capabilities)
            let sentence = sentence { try act(&conversation) }
            #expect(sentence.contains(part), "\(sentence)")
        }
    }

    /// Tokens 7 to 9 and so on, with log-probabilities as a change of good ones makes them.
    private func run(
        _ conversation: inout BackendConversation, tokens: Int, alternatives: Int,
        _ change: (inout [TokenLogprob]) -> Void
    ) throws {
        var entries = (0..<tokens).map { number in
            TokenLogprob(
                chosen: LikelyToken(id: UInt32(7 + number), text: [0x61], logprob: -0.5),
                alternatives: (0..<alternatives).map {
                    LikelyToken(id: UInt32($0), text: [0xc3], logprob: -0.25 * Float($0))
                })
        }
        change(&entries)
        let content = entries.flatMap { entry in
            [UInt8](unsafeUninitializedCapacity: entry.encodedSize) { memory, count in
                var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
                entry.encode(to: &writer)
                count = entry.encodedSize
            }
        }
        try (0..<tokens).map { UInt8(7 + $0) }.withUnsafeBytes { ids in
            try content.withUnsafeBytes { content in
                try RareParts(logprobs: content).encoded.withUnsafeBytes { rare in
                    let view = TokenRunView(sequence: 1, tokenCount: tokens, packedTokenIDs: ids, rare: rare)
                    try conversation.backendRan(TokenRun(view))
                }
            }
        }
    }

    @Test("log-probabilities come where they were asked for, one for each token, and nowhere else")
    func logprobs() throws {
        func running(
            _ logprobs: Int?, _ capabilities: [String] = ["logprobs"], request: [UInt8]? = nil
        ) throws -> BackendConversation {
            var conversation = try ready(capabilities: capabilities)
            let bounds = request == nil ? SequenceBounds(logprobs: logprobs) : nil
            try conversation.agentSays(.start(Start(sequence: 1, credit: 30, request: request ?? [], bounds: bounds)))
            return conversation
        }
        // A GenerateRequest { output = { logprobs = 2 } }.
        var able = try running(nil, request: [0x42, 2, 0x10, 2])
        try run(&able, tokens: 3, alternatives: 2) { _ in }
        try run(&able, tokens: 1, alternatives: 0) { $0[0].chosen.logprob = 0 }
        try run(&able, 1, text: 5, finish: Finish(.reason(.stop)))
        var most = try running(20)
        try run(&most, tokens: 1, alternatives: 20) {
            $0[0].chosen.text = Array(repeating: 0x61, count: 128)
            $0[0].chosen.id = 7
        }

        typealias Change = (inout [TokenLogprob]) -> Void
        let cases: [(part: String, change: Change)] = [
            ("for fewer than its 2 tokens", { $0.removeLast() }), ("for more than its 2 tokens", { $0.append($0[0]) }),
            ("of the token 8 for the token 7", { $0.swapAt(0, 1) }),
            ("2 alternatives", { $0[1].alternatives += $0[0].alternatives }),
            ("the log-probability nan", { $0[0].chosen.logprob = .nan }),
            ("the log-probability 0.5", { $0[0].chosen.logprob = 0.5 }),
            ("the log-probability -inf", { $0[0].alternatives[0].logprob = -.infinity }),
            ("129 bytes of text", { $0[0].chosen.text = Array(repeating: 0x61, count: 129) }),
            ("bytes of log-probabilities for 2 tokens", { $0[0].chosen.text = Array(repeating: 0x61, count: 700) }),
        ]
        for (part, change) in cases {
            var conversation = try running(1)
            let sentence = sentence { try run(&conversation, tokens: 2, alternatives: 1, change) }
            #expect(sentence.contains(part), "\(sentence)")
        }
        var unsorted = try running(2)
        #expect(
            sentence {
                try run(&unsorted, tokens: 1, alternatives: 2) { $0[0].alternatives.reverse() }
            }.contains("in the order"))
        var missing = try running(0)
        #expect(sentence { try run(&missing, 1, tokens: 1, text: 1) }.contains("fewer than its 1 tokens"))
        for (logprobs, capabilities) in [(nil, ["logprobs"]), (1, [])] as [(Int?, [String])] {
            var unasked = try running(logprobs, capabilities)
            try run(&unasked, 1, tokens: 1)
            let sentence = sentence { try run(&unasked, tokens: 1, alternatives: 0) { _ in } }
            #expect(sentence.contains("nobody asked for"))
        }
    }

    @Test("malformed log-probabilities break the contract")
    func malformedLogprobs() throws {
        for content: [UInt8] in [[0x0a], [0x0a, 3, 8, 7], [0x0a, 4, 0x22, 2, 8, 0x80], [0x0f]] {
            var conversation = try ready(capabilities: ["logprobs"])
            try conversation.agentSays(
                .start(Start(sequence: 1, credit: 30, request: [], bounds: SequenceBounds(logprobs: 1))))
            let sentence = sentence {
                try [7 as UInt8].withUnsafeBytes { ids in
                    try content.withUnsafeBytes {
                        try RareParts(logprobs: $0).encoded.withUnsafeBytes { rare in
                            let view = TokenRunView(sequence: 1, tokenCount: 1, packedTokenIDs: ids, rare: rare)
                            try conversation.backendRan(TokenRun(view))
                        }
                    }
                }
            }
            #expect(sentence.contains("malformed log-probabilities"), "\(sentence)")
        }
    }

    @Test("what comes at the wrong time is named")
    func outOfState() throws {
        var fresh = BackendConversation(end: .agent)
        let pong = Pong(nonce: 1, steps: 0, tokens: 0, sequences: 0)
        #expect(sentence { try fresh.backendSays(.pong(pong)) } == "the first message must be Hello, not Pong")
        #expect(sentence { try fresh.agentSays(.load(Load(model: "m", maxSequences: 1))) }.contains("Load came"))

        var loading = BackendConversation(end: .agent)
        let hello = Hello(name: "b", version: "1")
        try loading.backendSays(.hello(hello))
        #expect(sentence { try loading.backendSays(.hello(hello)) } == "Hello came twice")
        #expect(
            sentence { try loading.backendSays(.loaded(Loaded(maxContextTokens: 1, maxSequences: 1))) }
                == "Loaded came while nothing was being loaded")
        let empty = TokenBatchView(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(sentence { try loading.backendSays(.tokens(empty)) } == "TokenBatch came before Loaded")

        var ready = try ready()
        #expect(sentence { try ready.backendSays(.pong(pong)) }.contains("not the oldest unanswered Ping"))
        #expect(
            sentence { try ready.backendSays(.tokenCount(TokenCount(query: 3, result: .success(1)))) }
                .contains("query 3, which is not open"))
        #expect(
            sentence { try ready.agentSays(.tokenize(Tokenize(query: 1, request: [], wantsText: false))) }
                == "Tokenize was asked of a backend whose Hello does not name tokenize")
        try ready.agentSays(.shutdown(Shutdown(graceMilliseconds: 1)))
        #expect(
            sentence { try ready.agentSays(.start(Start(sequence: 0, credit: 1, request: []))) }
                == "Start came after Shutdown")
    }

    @Test("a Tokenized answers what was asked, once, and within its bounds")
    func tokenized() throws {
        var ready = try ready(capabilities: ["tokenize", "count_tokens"])
        try ready.agentSays(.tokenize(Tokenize(query: 1, request: [], wantsText: false)))
        try ready.agentSays(.tokenize(Tokenize(query: 2, request: [], wantsText: true)))
        try ready.agentSays(.countTokens(CountTokens(query: 3, request: [])))
        func answer(_ query: UInt32, _ content: Tokenized.Content) -> String {
            sentence { try ready.backendSays(.tokenized(Tokenized(query: query, result: .success(content)))) }
        }
        #expect(answer(1, .text([])) == "Tokenized holds text where tokens was asked for")
        #expect(answer(2, .tokens([])) == "Tokenized holds tokens where text was asked for")
        #expect(answer(3, .tokens([])) == "Tokenized answers the query 3, which is not open")
        #expect(
            answer(2, .text(Array(repeating: 0, count: 1_000_001)))
                == "the result of Tokenized has 1000001 bytes; at most 1000000")
        let long = Array(repeating: UInt8(ascii: "x"), count: 1_025)
        var frame = ByteQueue()
        let token = WireSize.field(2, byteCount: long.count)
        frame.encode(byteCount: WireSize.field(1, byteCount: token)) { writer in
            writer.field(1, byteCount: token)
            writer.field(2, bytes: long)
        }
        var envelope = ByteQueue()
        BackendMessage.tokenized(Tokenized(query: 1, result: .success(.tokens(Array(frame.bytes)))))
            .appendFrame(to: &envelope)
        #expect(
            sentence {
                try ready.backendSays(
                    BackendMessage(decoding: UnsafeRawBufferPointer(rebasing: envelope.bytes.dropFirst(4))))
            } == "a token of Tokenized has a text of 1025 bytes; at most 1024")

        #expect(sentence { try ready.agentSays(.countTokens(CountTokens(query: 1, request: []))) }.contains("is open"))
        try ready.backendSays(.tokenized(Tokenized(query: 2, result: .failure(Fault(.unsupported, "no")))))
        try ready.backendSays(.tokenized(Tokenized(query: 1, result: .success(.tokens([])))))
        #expect(answer(1, .tokens([])) == "Tokenized answers the query 1, which is not open")
    }

    /// A request with so many inputs, or documents.
    private func embed(_ query: UInt32, _ task: Embed.Task = .embed, inputs: Int = 2) -> AgentMessage {
        let field: [UInt8] = [task == .embed ? 0x12 : 0x1a, 1, 0]
        return .embed(Embed(query: query, task: task, request: Array(repeatElement(field, count: inputs).joined())))
    }

    @Test("an Embedded answers what was asked, once, and within its bounds")
    func embedded() throws {
        var ready = try ready(capabilities: ["embed", "rerank", "count_tokens"], dimensions: 3)
        try ready.agentSays(embed(1))
        try ready.agentSays(embed(2, .rerank))
        #expect(ready.isBusy && ready.openEmbeds == 2 && ready.isOpen(embed: 1) && !ready.isOpen(embed: 3))
        func answer(_ query: UInt32, _ values: Int, _ tokens: [UInt32], _ leftOut: [UInt32] = []) -> String {
            let values = [Float](repeating: 1, count: values)
            return sentence {
                try ready.backendSays(
                    .embedded(Embedded(query: query, values: values, tokens: tokens, leftOutTokens: leftOut)))
            }
        }
        #expect(answer(3, 6, [1, 1]) == "Embedded answers the query 3, which is not open")
        #expect(
            answer(1, 5, [1, 1])
                == "Embedded holds 5 numbers; it was asked for 2 times 3, and at most 250000")
        #expect(answer(2, 6, [1, 1]).contains("asked for 2 times 1"))
        #expect(answer(1, 6, [1]).contains("counts the tokens of 1 inputs"))
        #expect(answer(1, 6, [1, 1], [1]).contains("those left out of 1"))
        #expect(answer(1, 6, [1, 101]) == "Embedded counts more than the 100 tokens of the context for an input")
        for wrong in [Float.nan, .infinity, -.infinity] {
            let values: [Float] = [1, 1, 1, 1, 1, wrong]
            #expect(
                sentence { try ready.backendSays(.embedded(Embedded(query: 1, values: values, tokens: [1, 1]))) }
                    == "Embedded holds what is no finite number")
        }
        var mixed = Embedded(query: 1, fault: Fault(.internal, "no"))
        mixed.values = [1]
        #expect(sentence { try ready.backendSays(.embedded(mixed)) } == "Embedded holds a fault, and numbers beside it")

        #expect(sentence { try ready.agentSays(.countTokens(CountTokens(query: 1, request: []))) }.contains("is open"))
        #expect(sentence { try ready.agentSays(embed(1)) }.contains("is open"))
        try ready.agentSays(.cancelEmbed(CancelEmbed(query: 1)))
        try ready.backendSays(.embedded(Embedded(query: 1, fault: Fault(.overloaded, "no"), tokens: 7)))
        try ready.backendSays(
            .embedded(Embedded(query: 2, values: [1, -1], tokens: [100, 1], leftOutTokens: [0, 3])))
        #expect(answer(2, 2, [1, 1]) == "Embedded answers the query 2, which is not open")
        #expect(!ready.isBusy && ready.openEmbeds == 0)
        for query in 10..<18 as Range<UInt32> { try ready.agentSays(embed(query)) }
        #expect(sentence { try ready.agentSays(embed(18)) } == "Embed came while 8 were open")
    }

    @Test("an Embed is asked only of a model that has the capability, in the phase for it")
    func embedOutOfTurn() throws {
        var plain = try ready()
        #expect(
            sentence { try plain.agentSays(embed(1)) } == "Embed was asked of a backend whose Hello does not name embed"
        )
        var half = try ready(capabilities: ["embed", "rerank"], dimensions: 3, lacking: ["rerank", "generate"])
        #expect(
            sentence { try half.agentSays(embed(1, .rerank)) }
                == "Embed was asked of a backend whose model lacks rerank")
        var none = Embed(query: 1, task: .embed, request: [])
        none.task = nil
        #expect(sentence { try half.agentSays(.embed(none)) } == "Embed holds neither embed nor rerank")
        #expect(sentence { try half.agentSays(.cancelEmbed(CancelEmbed(query: 1))) }.contains("is not open"))
        // On the backend's end it may have crossed the answer.
        var backend = try ready(.backend, capabilities: ["embed"], dimensions: 3)
        #expect(try !backend.agentSays(.cancelEmbed(CancelEmbed(query: 1))))
        var early = BackendConversation(end: .agent)
        for message in [embed(1), .cancelEmbed(CancelEmbed(query: 1))] {
            #expect(sentence { try early.agentSays(message) }.contains("came in the phase"))
        }
        #expect(
            sentence { try early.backendSays(.embedded(Embedded(query: 1, values: [], tokens: []))) }
                == "the first message must be Hello, not Embedded")
        #expect(throws: ContractViolation.self, "it makes no vectors") { try ready(capabilities: ["embed"]) }
        #expect(throws: ContractViolation.self) { try ready(capabilities: ["embed"], dimensions: 65_537) }
        #expect(throws: ContractViolation.self) { try ready(lacking: [""]) }
        _ = try ready(capabilities: ["embed"], lacking: ["embed"])
    }

    @Test("a Hello out of bounds is refused")
    func badHello() {
        let long = String(repeating: "x", count: 65)
        let hellos = [
            Hello(name: "", version: ""), Hello(name: long, version: ""), Hello(name: "a b", version: ""),
            Hello(name: "ä", version: ""), Hello(name: "a", version: long),
            Hello(minRevision: 0, maxRevision: 1, name: "a", version: ""),
            Hello(minRevision: 3, maxRevision: 2, name: "a", version: ""),
            Hello(name: "a", version: "", capabilities: [""]),
            Hello(name: "a", version: "", capabilities: ["chat", "count_tokens", "chat"]),
            Hello(name: "a", version: "", capabilities: [long]),
            Hello(name: "a", version: "", capabilities: [String](repeating: "x", count: 33)),
        ]
        for hello in hellos {
            var conversation = BackendConversation(end: .agent)
            #expect(throws: ContractViolation.self, "\(hello)") { try conversation.backendSays(.hello(hello)) }
        }
    }

    @Test("the highest revision that both speak is chosen, or none")
    func revisions() {
        func common(_ minimum: UInt32, _ maximum: UInt32, _ ours: ClosedRange<UInt32>) -> UInt32? {
            BackendConversation.commonRevision(
                Hello(minRevision: minimum, maxRevision: maximum, name: "a", version: ""), supported: ours)
        }
        #expect(common(1, 1, 1...1) == 1)
        #expect(common(1, 5, 2...3) == 3)
        #expect(common(2, 3, 1...9) == 3)
        #expect(common(4, 5, 1...3) == nil)
        #expect(common(1, 1, 2...3) == nil)
    }

    @Test("a loaded model offers between one sequence and as many as were asked for")
    func loadedBounds() throws {
        for (context, sequences) in [(0, 1), (1, 0), (1, 9), (1, UInt32.max)] as [(UInt32, UInt32)] {
            var conversation = BackendConversation(end: .agent)
            try conversation.backendSays(.hello(Hello(name: "b", version: "1")))
            try conversation.agentSays(
                .welcome(Welcome(revision: 1, maxFrameBytes: 1, pingIntervalMilliseconds: 1)))
            try conversation.agentSays(.load(Load(model: "m", maxSequences: 8)))
            #expect(throws: ContractViolation.self) {
                try conversation.backendSays(
                    .loaded(Loaded(maxContextTokens: context, maxSequences: sequences)))
            }
        }
    }

    @Test("the sampling defaults that a backend tells are well-formed and short")
    func samplingDefaults() throws {
        func loaded(_ defaults: [UInt8]) -> String {
            sentence {
                var conversation = BackendConversation(end: .agent)
                try conversation.backendSays(.hello(Hello(name: "b", version: "1")))
                try conversation.agentSays(
                    .welcome(Welcome(revision: 1, maxFrameBytes: 1, pingIntervalMilliseconds: 1)))
                try conversation.agentSays(.load(Load(model: "m", maxSequences: 8)))
                let loaded = Loaded(maxContextTokens: 1, maxSequences: 1, samplingDefaults: defaults)
                var output = ByteQueue()
                BackendMessage.loaded(loaded).appendFrame(to: &output)
                let frame = UnsafeRawBufferPointer(rebasing: output.bytes[4...])
                try conversation.backendSays(BackendMessage(decoding: frame))
            }
        }
        let sampling = SamplingFields.encoded(floats: [(1, 0.5), (2, nil)], numbers: [(3, 40), (9, nil)])
        #expect(sampling == [0x0d, 0, 0, 0, 0x3f, 0x18, 40])
        #expect(loaded(sampling) == "accepted")
        for malformed: [UInt8] in [[0x0d], [0x92, 1, 3, 0x0a, 1, 0xff], [0x9a, 1, 1, 8]] {
            #expect(loaded(malformed).contains("field 3 of a BackendEnvelope"), "\(malformed)")
        }
        let long = (0..<600).flatMap { _ in [0x18, 40] as [UInt8] }
        #expect(loaded(long).contains("has 1200 bytes; at most 1024"))
    }

    @Test("a context is no longer than was asked for, where it was")
    func contextBounds() throws {
        func loading(asked: UInt32, offered: UInt32) -> String {
            sentence {
                var conversation = BackendConversation(end: .agent)
                try conversation.backendSays(.hello(Hello(name: "b", version: "1")))
                try conversation.agentSays(
                    .welcome(Welcome(revision: 1, maxFrameBytes: 1, pingIntervalMilliseconds: 1)))
                try conversation.agentSays(.load(Load(model: "m", contextTokens: asked, maxSequences: 8)))
                try conversation.backendSays(.loaded(Loaded(maxContextTokens: offered, maxSequences: 1)))
            }
        }
        #expect(loading(asked: 0, offered: .max) == "accepted")
        #expect(loading(asked: 100, offered: 100) == "accepted")
        #expect(loading(asked: 100, offered: 64) == "accepted")
        #expect(loading(asked: 100, offered: 101).contains("is 101; it is at most Load.context_tokens, here 100"))
    }

    @Test("progress outside 0 to 1 is refused")
    func progress() throws {
        for fraction in [-0.1, 1.1, .nan, .infinity] as [Float] {
            var conversation = BackendConversation(end: .agent)
            try conversation.backendSays(.hello(Hello(name: "b", version: "1")))
            try conversation.agentSays(.welcome(Welcome(revision: 1, maxFrameBytes: 1, pingIntervalMilliseconds: 1)))
            try conversation.agentSays(.load(Load(model: "m", maxSequences: 8)))
            #expect(throws: ContractViolation.self) {
                try conversation.backendSays(.loadProgress(LoadProgress(fraction: fraction)))
            }
        }
    }

    @Test("credit and cancel that cross an ending mean nothing to the backend and are refused at the agent")
    func crossing() throws {
        var backend = try ready(.backend)
        #expect(try backend.agentSays(.cancel(Cancel(sequence: 1))) == false)
        #expect(try backend.agentSays(.credit(Credit(sequence: 1, tokens: 1))) == false)
        #expect(throws: ContractViolation.self) { try backend.agentSays(.cancel(Cancel(sequence: 4))) }
        var agent = try ready(.agent)
        #expect(throws: ContractViolation.self) { try agent.agentSays(.cancel(Cancel(sequence: 1))) }
    }

    @Test("a cancelled sequence still sends what it had, and its ending")
    func cancel() throws {
        var conversation = try ready()
        try conversation.agentSays(.start(Start(sequence: 0, credit: 5, request: [])))
        try conversation.agentSays(.cancel(Cancel(sequence: 0)))
        try run(&conversation, 0, tokens: 2)
        try run(&conversation, 0, finish: Finish(.reason(.cancelled)))
        #expect(!conversation.isRunning(0))
    }

    @Test("credit that would not fit in 32 bits is refused")
    func creditOverflow() throws {
        var conversation = try ready()
        try conversation.agentSays(.start(Start(sequence: 0, credit: .max, request: [])))
        #expect(throws: ContractViolation.self) { try conversation.agentSays(.credit(Credit(sequence: 0, tokens: 1))) }
    }

    @Test("pongs answer pings in order, and steps never go back")
    func pongs() throws {
        var conversation = try ready()
        try conversation.agentSays(.ping(Ping(nonce: 5)))
        try conversation.agentSays(.ping(Ping(nonce: 6)))
        func pong(_ nonce: UInt64, _ steps: UInt64, tokens: UInt64 = 5, sequences: UInt32 = 0) -> BackendMessage {
            .pong(Pong(nonce: nonce, steps: steps, tokens: tokens, sequences: sequences))
        }
        #expect(throws: ContractViolation.self) { try conversation.backendSays(pong(6, 1)) }
        try conversation.backendSays(pong(5, 10))
        #expect(throws: ContractViolation.self) { try conversation.backendSays(pong(6, 9)) }
        #expect(
            sentence { try conversation.backendSays(pong(6, 10, tokens: 4)) } == "Pong.tokens went back from 5 to 4")
        #expect(sentence { try conversation.backendSays(pong(6, 10, sequences: 5)) }.contains("is 5; 4 were offered"))
        try conversation.backendSays(pong(6, 10, sequences: 4))
        #expect(conversation.steps == 10)
    }

    /// A conversation after a Load that asks to inspect.
    private func inspecting() throws -> BackendConversation {
        var conversation = BackendConversation(end: .agent)
        try conversation.backendSays(.hello(Hello(name: "b", version: "1", capabilities: ["inspect"])))
        try conversation.agentSays(
            .welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
        try conversation.agentSays(.load(Load(model: "m", contextTokens: 100, maxSequences: 8, inspectOnly: true)))
        return conversation
    }

    private func inspected(_ change: (inout Inspected) -> Void = { _ in }) -> BackendMessage {
        var inspected = Inspected()
        inspected.memoryBytes = 1
        inspected.contextTokens = 100
        inspected.maxSequences = 8
        change(&inspected)
        return .inspected(inspected)
    }

    @Test("an inspection is asked for by Load, answered once, and the end")
    func inspections() throws {
        var conversation = try inspecting()
        #expect(sentence { try conversation.backendSays(.loadProgress(LoadProgress(fraction: 0))) }.contains("nothing"))
        #expect(
            sentence { try conversation.backendSays(.loaded(Loaded(maxContextTokens: 9, maxSequences: 1))) }
                .contains("nothing"))
        try conversation.backendSays(inspected())
        #expect(conversation.phase == .over)
        var loaded = try ready()
        #expect(sentence { try loaded.backendSays(inspected()) }.contains("not asked for"))
        var incapable = BackendConversation(end: .backend)
        try incapable.backendSays(.hello(Hello(name: "b", version: "1")))
        try incapable.agentSays(
            .welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
        #expect(
            sentence { try incapable.agentSays(.load(Load(model: "m", maxSequences: 8, inspectOnly: true))) }
                .contains("does not name inspect"))
    }

    @Test("an inspection that cannot be true, or is too long, breaks the contract")
    func untrueInspections() throws {
        let untrue: [(BackendMessage, String)] = [
            (inspected { $0.memoryBytes = 0 }, "memory_bytes is 0"), (inspected { $0.contextTokens = 0 }, "0 tokens"),
            (inspected { $0.contextTokens = 101 }, "101 tokens"), (inspected { $0.maxSequences = 0 }, "0 sequences"),
            (inspected { $0.maxSequences = 9 }, "9 sequences"),
            (inspected { $0.licence = String(repeating: "x", count: 257) }, "longer than 256"),
        ]
        for (message, part) in untrue {
            var conversation = try inspecting()
            #expect(sentence { try conversation.backendSays(message) }.contains(part), "\(part)")
        }
    }

    @Test("nothing follows a fatal fault")
    func fatal() throws {
        var conversation = try ready()
        try conversation.backendSays(.fatal(Fault(.badModel, "torn")))
        #expect(conversation.phase == .over)
        #expect(
            sentence { try conversation.backendSays(.fatal(Fault(.internal, "again"))) }
                == "Fault came after the conversation's end")
        #expect(throws: ContractViolation.self) {
            try conversation.backendSays(.tokens(TokenBatchView(UnsafeRawBufferPointer(start: nil, count: 0))))
        }
    }

    /// What is to be said of its sequences.
    private func say(_ conversation: inout BackendConversation) -> [AgentMessage] {
        var said: [AgentMessage] = []
        conversation.sayAll { said.append($0) }
        return said
    }

    @Test("what was granted and cancelled is said as messages, once, which the backend's end takes")
    func saysAll() throws {
        var agent = try ready(.agent)
        var backend = try ready(.backend)
        let number = try #require(agent.freeSequence)
        let start = AgentMessage.start(Start(sequence: number, credit: 1, request: []))
        try agent.agentSays(start)
        try backend.agentSays(start)
        let id = try #require(agent.id(of: number))
        let effects = [agent.grant(id, tokens: 3), agent.cancel(id)]
        #expect(effects == [true, true])
        #expect(agent.credit(of: number) == 1, "nobody has told the backend")
        let said = say(&agent)
        #expect(said == [.credit(Credit(sequence: number, tokens: 3)), .cancel(Cancel(sequence: number))])
        for message in said { #expect(try backend.agentSays(message)) }
        #expect(agent.credit(of: number) == 4 && backend.credit(of: number) == 4)
        let saidAgain = say(&agent)
        #expect(saidAgain == [])
        try run(&agent, number, finish: Finish(.reason(.cancelled)))
        #expect(agent.freeSequence == number)
    }

    @Test("a cancelled sequence is work to do until it has finished, whether or not it has credit")
    func cancelledIsWork() throws {
        var conversation = try ready()
        try conversation.agentSays(.start(Start(sequence: 0, credit: 1, request: [])))
        try run(&conversation, 0, tokens: 1)
        #expect(!conversation.isBusy, "without credit it waits")
        let id = try #require(conversation.id(of: 0))
        let isNews = conversation.cancel(id)
        #expect(isNews)
        #expect(say(&conversation) == [.cancel(Cancel(sequence: 0))])
        #expect(conversation.isBusy)
        try run(&conversation, 0, finish: Finish(.reason(.cancelled)))
        #expect(!conversation.isBusy)
    }

    @Test("after the end of the conversation nothing is said, and what was lost does not come back")
    func lostSequences() throws {
        var conversation = try ready()
        try conversation.agentSays(.start(Start(sequence: 0, credit: 5, request: [])))
        let id = try #require(conversation.id(of: 0))
        _ = conversation.grant(id, tokens: 1)
        #expect(conversation.isBusy)
        try conversation.backendSays(.fatal(Fault(.internal, "torn")))
        let said = say(&conversation)
        #expect(said == [])
        conversation.loseAll()
        #expect(conversation.runningSequences == 0 && !conversation.isBusy && !conversation.isRunning(0))
        let effects = [conversation.grant(id, tokens: 1), conversation.cancel(id)]
        #expect(effects == [false, false])
    }
}
