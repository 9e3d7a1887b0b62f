import BackendIPC
import ByteBuffer
import InferenceMessages
import SeededRandom
import SwiftProtobuf
import Testing
import WireFormat

@Suite("the hand-written codecs and the generated ones")
struct CodecTests {
    /// The payload of the one frame in a buffer.
    private func payload(_ output: borrowing ByteQueue) -> [UInt8] {
        let frame = [UInt8](output.bytes)
        let length = frame.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        #expect(length == frame.count - 4)
        return Array(frame.dropFirst(4))
    }

    private func decodeAgent(_ bytes: [UInt8]) throws -> AgentMessage {
        try bytes.withUnsafeBytes { try AgentMessage(decoding: $0) }
    }

    /// Decodes a message of the backend, visits every run of a batch, and encodes it again.
    private func recodeBackend(_ bytes: [UInt8]) throws -> [UInt8] {
        try bytes.withUnsafeBytes { memory in
            let message = try BackendMessage(decoding: memory)
            var output = ByteQueue()
            guard case .tokens(var batch) = message else {
                message.appendFrame(to: &output)
                return payload(output)
            }
            var runs = ByteQueue()
            while let view = try batch.next() {
                #expect(view.tokenIDs.count == view.tokenCount)
                // The agent looks into these before it passes them on.
                let flaw = TokenLogprob.flaw(
                    in: view.rare.logprobs, ofTokens: view.packedTokenIDs, count: view.tokenCount, alternativesMax: 20)
                if !view.rare.logprobs.isEmpty, let flaw {
                    throw ContractViolation(.logprobs, flaw)
                }
                try ToolCallPiece.visit(view.rare.toolCalls) { _ in true }
                let run = TokenRun(view, finish: view.finish)
                runs.encode(byteCount: WireSize.field(1, message: run)) { $0.field(1, message: run) }
            }
            let content = runs.bytes
            output.appendFrame(field: 4, byteCount: content.count) { $0.raw(content) }
            return payload(output)
        }
    }

    @Test("every message of the agent survives both codecs", arguments: 1...12)
    func agentMessages(body: Int) throws {
        var random = SeededRandom(seed: UInt64(body))
        for _ in 0..<300 {
            let envelope = random.agentEnvelope(body: body)
            let message = try decodeAgent(try envelope.serializedBytes())
            var output = ByteQueue()
            message.appendFrame(to: &output)
            let back = try Hearth_Backend_V1_AgentEnvelope(serializedBytes: payload(output))
            #expect(back == envelope)
            #expect(try decodeAgent(payload(output)) == message)
        }
    }

    @Test("log-probabilities that are written by hand are those that generated code reads")
    func logprobs() throws {
        var random = SeededRandom(seed: 11)
        func likely() -> LikelyToken {
            LikelyToken(
                id: random.number32(), text: Array(random.bytes().prefix(128)),
                logprob: -Float.random(in: 0...30, using: &random))
        }
        for _ in 0..<200 {
            let entries = (0..<3).map { _ in
                TokenLogprob(
                    chosen: likely(),
                    alternatives: (0..<Int.random(in: 0...20, using: &random)).map { _ in likely() })
            }
            var output = ByteQueue()
            for entry in entries { output.encode(byteCount: entry.encodedSize) { entry.encode(to: &$0) } }
            let read = try Hearth_V1_Logprobs(serializedBytes: [UInt8](output.bytes))
            #expect(read.tokens.map(\.tokenID) == entries.map(\.chosen.id))
            #expect(read.tokens.map(\.logprob) == entries.map(\.chosen.logprob))
            #expect(read.tokens.map { Array($0.text) } == entries.map(\.chosen.text))
            let alternatives = read.tokens.map {
                $0.alternatives.map { LikelyToken(id: $0.tokenID, text: Array($0.text), logprob: $0.logprob) }
            }
            #expect(alternatives == entries.map(\.alternatives))
        }
    }

    @Test("every message of a backend survives both codecs", arguments: 1...10)
    func backendMessages(body: Int) throws {
        var random = SeededRandom(seed: UInt64(body))
        for _ in 0..<300 {
            let envelope = random.backendEnvelope(body: body)
            let back = try recodeBackend(try envelope.serializedBytes())
            #expect(try Hearth_Backend_V1_BackendEnvelope(serializedBytes: back) == envelope)
        }
    }

    @Test("fields of a later revision are passed over", arguments: 1...10)
    func unknownFields(body: Int) throws {
        var random = SeededRandom(seed: UInt64(100 + body))
        for _ in 0..<100 {
            let envelope = random.backendEnvelope(body: body)
            let bytes: [UInt8] = try envelope.serializedBytes()
            // In the envelope, before and after its body, and in the body itself.
            var reader = Array(bytes.dropFirst())[...]
            var length = 0
            var shift = 0
            while let byte = reader.popFirst() {
                length |= Int(byte & 0x7f) << shift
                shift += 7
                if byte < 0x80 { break }
            }
            #expect(reader.count == length)
            let content = Array(reader) + random.unknownFields()
            var output = ByteQueue()
            content.withUnsafeBytes { content in
                output.encode(byteCount: WireSize.field(body, byteCount: content.count)) { writer in
                    writer.field(body, bytes: content)
                }
            }
            let extended = random.unknownFields() + [UInt8](output.bytes) + random.unknownFields()
            let back = try recodeBackend(extended)
            #expect(try Hearth_Backend_V1_BackendEnvelope(serializedBytes: back) == envelope)
        }
    }

    @Test("mutated messages never trap, and what is accepted generated code accepts too")
    func mutations() throws {
        var random = SeededRandom(seed: 7)
        var accepted = 0
        for round in 0..<20_000 {
            let isAgent = round % 2 == 0
            // Requests are opaque here, so bodies 4, 7 and 10 of the agent say nothing about their content.
            let body =
                isAgent ? [1, 2, 3, 5, 6, 8, 9].randomElement(using: &random)! : Int.random(in: 1...9, using: &random)
            var bytes: [UInt8] =
                try isAgent
                ? random.agentEnvelope(body: body).serializedBytes()
                : random.backendEnvelope(body: body).serializedBytes()
            for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, &random) }
            if isAgent {
                guard let message = try? decodeAgent(bytes) else { continue }
                if case .start = message { continue }
                if case .countTokens = message { continue }
                accepted += 1
                #expect(throws: Never.self) { try Hearth_Backend_V1_AgentEnvelope(serializedBytes: bytes) }
            } else {
                guard (try? recodeBackend(bytes)) != nil else { continue }
                accepted += 1
                #expect(throws: Never.self) { try Hearth_Backend_V1_BackendEnvelope(serializedBytes: bytes) }
            }
        }
        // The mutations are not all fatal, or this would prove nothing.
        #expect(accepted > 1_000)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        guard !bytes.isEmpty else { return bytes.append(UInt8.random(in: 0...255, using: &random)) }
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.remove(at: index)
        case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
        default: bytes.removeLast(min(bytes.count, Int.random(in: 1...4, using: &random)))
        }
    }
}

@Suite("strictness of the codecs")
struct CodecStrictnessTests {
    @Test("an envelope without a known body is refused")
    func noBody() {
        for bytes in [[], [0xc0, 0x3e, 1], [0x08, 1]] as [[UInt8]] {
            #expect(throws: ContractViolation.self) { try bytes.withUnsafeBytes { _ = try AgentMessage(decoding: $0) } }
            #expect(throws: ContractViolation.self) {
                try bytes.withUnsafeBytes { _ = try BackendMessage(decoding: $0) }
            }
        }
    }

    @Test("an envelope with two bodies is refused with the second one's field")
    func twoBodies() {
        let bytes: [UInt8] = [0x32, 0x00, 0x1a, 0x00]
        let error = #expect(throws: ContractViolation.self) {
            try bytes.withUnsafeBytes { _ = try BackendMessage(decoding: $0) }
        }
        #expect(error?.sentence.contains("field 3 appears twice") == true)
    }

    @Test("token ids that are unpacked, in two pieces or above 32 bits are refused")
    func unusualTokenIDs() {
        for bytes in [[0x10, 5], [0x12, 1, 5, 0x12, 1, 6], [0x12, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]] as [[UInt8]] {
            #expect(throws: WireError.self) { try bytes.withUnsafeBytes { _ = try TokenRunView(decoding: $0) } }
        }
    }

    @Test("what is taken for a batch at first sight is one, byte for byte, and nothing that is refused is")
    func firstSight() throws {
        var random = SeededRandom(seed: 11)
        var recognized = 0
        for _ in 0..<20_000 {
            var bytes = [0x22] + random.bytes()
            // Half of them with a length that is right, also written in more bytes than it needs.
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(UInt8(bytes.count - 1), at: 1)
            case 1: bytes.insert(contentsOf: [UInt8(bytes.count - 1) | 0x80, 0], at: 1)
            default: break
            }
            bytes.withUnsafeBytes { memory in
                guard let batch = BackendMessage.tokens(in: memory) else { return }
                recognized += 1
                guard case .tokens(let same)? = try? BackendMessage(decoding: memory) else {
                    Issue.record("refused, or no batch: \(bytes)")
                    return
                }
                #expect(batch.remaining.baseAddress == same.remaining.baseAddress)
                #expect(batch.remaining.count == same.remaining.count)
            }
        }
        #expect(recognized > 5_000)
        // A batch after a field that nobody knows is one too, and judged the long way.
        for bytes in [[0xc0, 0x3e, 1, 0x22, 0], [0x22, 0, 0xc0, 0x3e, 1]] as [[UInt8]] {
            bytes.withUnsafeBytes { #expect(BackendMessage.tokens(in: $0).map { _ in () } == nil) }
            try bytes.withUnsafeBytes { memory in
                guard case .tokens = try BackendMessage(decoding: memory) else {
                    Issue.record("no batch: \(bytes)")
                    return
                }
            }
        }
    }

    @Test("a fault of an unknown code reads as internal")
    func unknownFaultCode() throws {
        let fault = try Fault(decoding: [0x08, 99, 0x12, 1, 0x78])
        #expect(fault == Fault(.internal, "x"))
    }
}
