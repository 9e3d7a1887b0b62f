import BackendIPC
import ByteBuffer
import Testing
import WireFormat

@Suite("BackendConversation that another agent has begun")
struct SettlingTests {
    /// One with four sequences, which another agent has had.
    private func settling(sequences: Set<UInt32> = [], embeds: Set<UInt32> = []) throws -> BackendConversation {
        var conversation = BackendConversation(end: .agent)
        let capabilities = ["count_tokens", "tokenize", "embed"]
        try conversation.backendSays(.hello(Hello(name: "b", version: "1", capabilities: capabilities)))
        try conversation.agentSays(
            .welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
        try conversation.agentSays(.load(Load(model: "m", maxSequences: 8)))
        try conversation.backendSays(
            .loaded(Loaded(maxContextTokens: 100, maxSequences: 4, embeddingDimensions: 2)))
        let messages = conversation.takeOver(sequences: sequences, embeds: embeds)
        #expect(
            messages
                == (0..<4).map { .cancel(Cancel(sequence: $0)) }
                + embeds.sorted().map { .cancelEmbed(CancelEmbed(query: $0)) })
        return conversation
    }

    private func pong(_ nonce: UInt64, sequences: UInt32 = 0) -> BackendMessage {
        .pong(Pong(nonce: nonce, steps: 9, tokens: 9, sequences: sequences))
    }

    /// A batch with a run of each of these; of those in `ends` it is the last.
    private func hear(
        _ runs: [UInt32], ends: Set<UInt32> = [], by conversation: inout BackendConversation
    ) throws {
        var queue = ByteQueue()
        let ids: [UInt8] = [7]
        try ids.withUnsafeBytes { ids in
            for sequence in runs {
                let view = TokenRunView(
                    sequence: sequence, tokenCount: 1, packedTokenIDs: ids,
                    text: UnsafeRawBufferPointer(start: nil, count: 0),
                    rare: UnsafeRawBufferPointer(start: nil, count: 0))
                let run = TokenRun(view, finish: ends.contains(sequence) ? Finish(.reason(.cancelled)) : nil)
                queue.encode(byteCount: WireSize.field(1, message: run)) { $0.field(1, message: run) }
            }
            #expect(try !conversation.backendSaysTokens())
            try conversation.settle(TokenBatchView(queue.bytes))
        }
    }

    @Test("it is ready once a Pong to its own Ping counts no sequences, and not by an older Pong")
    func pongs() throws {
        var conversation = try settling()
        #expect(conversation.phase == .settling && !conversation.isBusy)
        try conversation.backendSays(pong(5))
        #expect(conversation.phase == .settling)
        try conversation.agentSays(.ping(Ping(nonce: 100)))
        try conversation.backendSays(pong(6))
        try conversation.backendSays(pong(100, sequences: 2))
        #expect(conversation.phase == .settling)
        try conversation.agentSays(.ping(Ping(nonce: 101)))
        try hear([1, 2], ends: [1, 2], by: &conversation)
        try conversation.backendSays(pong(101))
        #expect(conversation.phase == .ready)
        #expect(throws: ContractViolation.self) { try conversation.backendSays(pong(7)) }
        #expect(conversation.freeSequence == 0)
        try conversation.agentSays(.start(Start(sequence: 0, credit: 1, request: [])))
        #expect(conversation.isBusy)
    }

    @Test("what the other agent knew to run has to end as well, whatever a Pong counts")
    func sequences() throws {
        var conversation = try settling(sequences: [0, 3, 9])
        try conversation.agentSays(.ping(Ping(nonce: 100)))
        // It was computing for others when it answered, and has yet to hear of these.
        try conversation.backendSays(pong(100))
        try hear([0, 3], by: &conversation)
        try hear([3], ends: [3], by: &conversation)
        #expect(conversation.phase == .settling)
        #expect(conversation.unfinished.sequences == [0])
        try hear([0], ends: [0], by: &conversation)
        #expect(conversation.phase == .ready)
        #expect(conversation.unfinished.sequences.isEmpty)
    }

    @Test("nothing begins on it meanwhile, and questions may be asked")
    func questions() throws {
        var conversation = try settling()
        #expect(throws: ContractViolation.self) {
            try conversation.agentSays(.start(Start(sequence: 0, credit: 1, request: [])))
        }
        try conversation.agentSays(.countTokens(CountTokens(query: 70, request: [])))
        // To the other agent.
        try conversation.backendSays(.tokenCount(TokenCount(query: 3, result: .success(1))))
        try conversation.backendSays(.tokenized(Tokenized(query: 4, result: .success(.text([])))))
        try conversation.backendSays(.tokenCount(TokenCount(query: 70, result: .success(1))))
        try conversation.agentSays(.ping(Ping(nonce: 100)))
        try conversation.backendSays(pong(100))
        // They may come later than the Pong.
        try conversation.backendSays(.tokenCount(TokenCount(query: 5, result: .success(1))))
        try conversation.agentSays(.countTokens(CountTokens(query: 71, request: [])))
        #expect(throws: ContractViolation.self) {
            try conversation.backendSays(.tokenized(Tokenized(query: 71, result: .success(.text([])))))
        }
    }

    @Test("only so many answers are taken for the other agent's")
    func answers() throws {
        var conversation = try settling()
        for query in 0..<UInt32(ContractLimits.unansweredMax) {
            try conversation.backendSays(.tokenCount(TokenCount(query: query, result: .success(1))))
        }
        #expect(throws: ContractViolation.self) {
            try conversation.backendSays(.tokenCount(TokenCount(query: 1, result: .success(1))))
        }
    }

    @Test("an embedding of the other agent's keeps its room until it is answered, once")
    func embeds() throws {
        var conversation = try settling(embeds: [21, 22])
        #expect(conversation.openEmbeds == 2 && conversation.unfinished.embeds == [21, 22])
        let fault = Fault(.overloaded, "the query was cancelled")
        try conversation.backendSays(.embedded(Embedded(query: 21, fault: fault)))
        #expect(conversation.openEmbeds == 1)
        #expect(throws: ContractViolation.self) {
            try conversation.backendSays(.embedded(Embedded(query: 21, fault: fault)))
        }
    }

    @Test("what breaks the contract breaks it still")
    func violations() throws {
        for message in [
            BackendMessage.hello(Hello(name: "b", version: "1")), .loadProgress(LoadProgress(fraction: 0)),
            .loaded(Loaded(maxContextTokens: 1, maxSequences: 1)),
        ] {
            var conversation = try settling()
            #expect(throws: ContractViolation.self) { try conversation.backendSays(message) }
        }
        var conversation = try settling()
        let malformed: [UInt8] = [0x0a, 9, 1]
        #expect(throws: ContractViolation.self) {
            try malformed.withUnsafeBytes { try conversation.settle(TokenBatchView($0)) }
        }
        try conversation.backendSays(.fatal(Fault(.internal, "no")))
        #expect(conversation.phase == .over)
    }

    @Test("passed on before it is ready, it still awaits what the first agent had begun")
    func again() throws {
        var conversation = try settling(sequences: [1, 2], embeds: [5])
        try hear([1], ends: [1], by: &conversation)
        try conversation.agentSays(.embed(Embed(query: 6, task: .embed, request: [0x12, 3, 0x22, 1, 0x78])))
        #expect(conversation.unfinished.sequences == [2])
        #expect(conversation.unfinished.embeds == [5, 6])
    }
}
