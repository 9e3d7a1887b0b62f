import BackendIPC
import Testing
import WireFormat

/// What a backend may send beside what is of use.
@Suite("Useless bytes")
struct UselessBytesTests {
    /// A conversation in which one sequence runs.
    private func running() throws -> BackendConversation {
        var conversation = BackendConversation(end: .agent)
        try conversation.backendSays(.hello(Hello(name: "b", version: "1")))
        try conversation.agentSays(
            .welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
        try conversation.agentSays(.load(Load(model: "m", maxSequences: 1)))
        try conversation.backendSays(.loaded(Loaded(maxContextTokens: 100, maxSequences: 1)))
        try conversation.agentSays(.start(Start(sequence: 0, credit: 50, request: [])))
        return conversation
    }

    @Test("a batch without a run is none, whatever fields are in it, and fields that nobody knows are few")
    func uselessBytes() throws {
        let conversation = try running()
        func batch(_ bytes: [UInt8]) -> String {
            var copy = conversation
            return sentence {
                try bytes.withUnsafeBytes { memory in
                    var batch = TokenBatchView(memory)
                    while try copy.next(&batch) != nil {}
                }
            }
        }
        func unknown(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count / 2).flatMap { [0x78, $0] } }
        func run(_ fields: [UInt8], tokens: Int = 1) -> [UInt8] {
            var run: [UInt8] = [0x08, 0, 0x12, UInt8(tokens)] + [UInt8](repeating: 7, count: tokens)
            run += fields
            return [0x0a] + varint(run.count) + run
        }
        #expect(batch([]).contains("holds no run"))
        #expect(batch(unknown(10)).contains("holds no run"))
        #expect(batch(run([])) == "accepted")
        #expect(batch(unknown(512) + run([]) + unknown(512)) == "accepted")
        #expect(batch(unknown(512) + run([]) + unknown(514)).contains("take more than 1024 bytes"))
        #expect(batch(run(unknown(1_024))) == "accepted")
        #expect(batch(run(unknown(1_026))).contains("1026 bytes of fields that this revision does not know for 1"))
        #expect(batch(run(unknown(1_026), tokens: 2)) == "accepted")
        #expect(batch(run(unknown(20_000), tokens: 40)).contains("take more than 16384 bytes"))
        for again: [UInt8] in [[0x08, 0], [0x1a, 0, 0x1a, 0]] {
            #expect(batch(run(again)).contains("appears twice"))
        }
        #expect(batch(run([0x12, 0])).contains("not packed in one piece"))
    }

    private func varint(_ value: Int) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f | 0x80)] + varint(value >> 7)
    }

    @Test("an envelope is its one message and little beside it, and only tokens and two answers are long")
    func longMessages() {
        func decoding(_ bytes: [UInt8]) -> String {
            sentence { _ = try bytes.withUnsafeBytes { try BackendMessage(decoding: $0) } }
        }
        let padding: [UInt8] = [UInt8](repeating: 0, count: 512).flatMap { [0x78, $0] }
        let pong: [UInt8] = [0x32, 2, 0x08, 1]
        #expect(decoding(pong + padding) == "accepted")
        #expect(decoding(pong + padding + [0x78, 0]).contains("take more than 1024 bytes"))
        func hello(_ names: Int) -> [UInt8] {
            let body: [UInt8] = [UInt8](repeating: 0x78, count: names).flatMap { [0x2a, 1, $0] }
            return [0x0a] + varint(body.count) + body
        }
        #expect(decoding(hello(1_365)) == "accepted")
        #expect(decoding(hello(1_366)).contains("no Embedded has 4098 bytes; at most 4096"))
    }
}
