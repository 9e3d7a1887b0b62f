import BackendIPC
import ByteBuffer
import WireFormat

/// An input is a byte that says where the conversation is (bit 0: sequences run), one for the size of what is read at a time,
/// and what the backend writes.
enum BackendTarget {
    private static let frameBytesMax = 1 << 16
    private static let sequences: UInt32 = 4
    private static let credit: UInt32 = 100

    static var seeds: [[UInt8]] {
        let ids: [UInt8] = [1, 0x80, 1, 3]
        let text = Array(" hifo".utf8)
        var running = ByteQueue()
        var beginning = ByteQueue()
        let hello = BackendMessage.hello(Hello(name: "b", version: "1", capabilities: ["count_tokens"]))
        for message in [
            hello, .loadProgress(LoadProgress(fraction: 0.5)), .loaded(Loaded(maxContextTokens: 9, maxSequences: 4)),
        ] {
            message.appendFrame(to: &beginning)
        }
        ids.withUnsafeBytes { ids in
            text.withUnsafeBytes { text in
                let runs = [
                    TokenRun(TokenRunView(sequence: 0, tokenCount: 3, packedTokenIDs: ids, text: text)),
                    TokenRun(
                        TokenRunView(sequence: 1, tokenCount: 3, packedTokenIDs: ids, text: text),
                        finish: Finish(.reason(.stop))),
                    TokenRun(TokenRunView(sequence: 2), finish: Finish(.fault(Fault(.internal, "no")))),
                ]
                var content = ByteQueue()
                for run in runs {
                    content.encode(byteCount: WireSize.field(1, message: run)) { $0.field(1, message: run) }
                }
                let bytes = content.bytes
                running.appendFrame(field: 4, byteCount: bytes.count) { $0.raw(bytes) }
            }
        }
        BackendMessage.pong(Pong(nonce: 7, steps: 3, tokens: 6, sequences: 2)).appendFrame(to: &running)
        BackendMessage.tokenCount(TokenCount(query: 1, result: .success(5))).appendFrame(to: &running)
        BackendMessage.fatal(Fault(.overloaded, "later")).appendFrame(to: &running)
        return [
            [0, 0] + Array(beginning.bytes), [1, 0] + Array(running.bytes), [1, 3] + Array(running.bytes),
            [0, 1, 0, 1, 0, 1],
        ]
    }

    private struct Hearing: Equatable {
        var names: [String] = []
        var tokens: [UInt64] = []
        var violation: String?
    }

    static func run(_ input: [UInt8]) throws {
        var reader = InputReader(input)
        let isRunning = reader.byte() & 1 == 1
        let step = Int(reader.byte())
        let written = Array(reader.rest)
        let whole = try hear(written, isRunning: isRunning, step: max(written.count, 1))
        try promise(
            try hear(written, isRunning: isRunning, step: max(step, 1)) == whole, "where a read ends changes nothing")
    }

    private static func hear(_ written: [UInt8], isRunning: Bool, step: Int) throws -> Hearing {
        var conversation = BackendConversation(end: .agent)
        if isRunning { try begin(&conversation) }
        var buffer = FrameBuffer(frameBytesMax: frameBytesMax)
        var hearing = Hearing()
        var rest = written[...]
        while !rest.isEmpty, hearing.violation == nil {
            let piece = Array(rest.prefix(step))
            rest = rest.dropFirst(step)
            piece.withUnsafeBytes { buffer.append($0) }
            do {
                while let frame = try buffer.next() {
                    try survives(frame)
                    try hear(frame, &conversation, &hearing)
                }
            } catch let error as ContractViolation {
                try promise(!error.sentence.isEmpty, "a violation is told")
                hearing.violation = error.sentence
            }
            try promise(conversation.runningSequences <= Int(sequences), "no more sequences run than were started")
        }
        hearing.tokens = (0..<sequences).map { conversation.tokens(of: $0) }
        for sequence in 0..<sequences where isRunning {
            let most = UInt64(credit) + 1
            try promise(hearing.tokens[Int(sequence)] < most, "a sequence got more tokens than it had credit")
        }
        return hearing
    }

    private static func hear(
        _ frame: UnsafeRawBufferPointer, _ conversation: inout BackendConversation, _ hearing: inout Hearing
    ) throws {
        let message = try BackendMessage(decoding: frame)
        hearing.names.append(message.name)
        try conversation.backendSays(message)
        switch message {
        case .tokens(var batch):
            while let run = try conversation.next(&batch) {
                try promise(run.tokenIDs.count == run.tokenCount, "the ids are as many as were counted")
            }
        case .hello(let hello):
            guard let revision = BackendConversation.commonRevision(hello) else { return }
            let welcome = Welcome(revision: revision, maxFrameBytes: UInt32(frameBytesMax), pingIntervalMilliseconds: 1)
            try conversation.agentSays(.welcome(welcome))
            try conversation.agentSays(.load(Load(model: "m", maxSequences: sequences)))
        case .loaded(let loaded):
            for sequence in 0..<loaded.maxSequences {
                try conversation.agentSays(.start(Start(sequence: sequence, credit: credit, request: [])))
            }
        default: break
        }
    }

    /// To where sequences run, a question is open and a ping unanswered.
    private static func begin(_ conversation: inout BackendConversation) throws {
        var hearing = Hearing()
        var said = ByteQueue()
        let hello = BackendMessage.hello(Hello(name: "b", version: "1", capabilities: ["count_tokens"]))
        for message in [hello, .loaded(Loaded(maxContextTokens: 9, maxSequences: sequences))] {
            message.appendFrame(to: &said)
        }
        var buffer = FrameBuffer(frameBytesMax: frameBytesMax)
        buffer.append(said.bytes)
        while let frame = try buffer.next() { try hear(frame, &conversation, &hearing) }
        try conversation.agentSays(.countTokens(CountTokens(query: 1, request: [])))
        try conversation.agentSays(.ping(Ping(nonce: 7)))
        try conversation.agentSays(.cancel(Cancel(sequence: 3)))
    }

    /// What can be decoded is the same once it was encoded again, in either direction.
    private static func survives(_ frame: UnsafeRawBufferPointer) throws {
        if let message = try? BackendMessage(decoding: frame) {
            var once = ByteQueue()
            message.appendFrame(to: &once)
            try again(once.bytes) { bytes in
                var twice = ByteQueue()
                try BackendMessage(decoding: bytes).appendFrame(to: &twice)
                return Array(twice.bytes)
            }
        }
        if let message = try? AgentMessage(decoding: frame) {
            var once = ByteQueue()
            message.appendFrame(to: &once)
            // A map's order is not kept.
            try again(once.bytes) { bytes in
                try promise(try AgentMessage(decoding: bytes) == message, "an agent's message written is the one read")
                return Array(once.bytes)
            }
        }
    }

    private static func again(_ frame: UnsafeRawBufferPointer, _ recode: (UnsafeRawBufferPointer) throws -> [UInt8])
        throws
    {
        let payload = UnsafeRawBufferPointer(rebasing: frame[4...])
        do {
            try promise(try recode(payload).elementsEqual(frame), "a message written is the message read")
        } catch let error as ContractViolation {
            throw BrokenPromise(description: "a message written cannot be read: \(error)")
        }
    }
}
