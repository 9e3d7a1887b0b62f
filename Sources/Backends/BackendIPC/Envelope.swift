package import ByteBuffer
package import WireFormat

/// One message from the agent to a backend; the payload of a frame.
package enum AgentMessage: Equatable, Sendable {
    case welcome(Welcome)
    case reject(Reject)
    case load(Load)
    case start(Start)
    case credit(Credit)
    case cancel(Cancel)
    case countTokens(CountTokens)
    case ping(Ping)
    case shutdown(Shutdown)
    case tokenize(Tokenize)
    case embed(Embed)
    case cancelEmbed(CancelEmbed)

    /// Decodes the payload of a frame, a `hearth.backend.v1.AgentEnvelope`.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(ContractViolation) {
        let body = try EnvelopeBody(bytes, known: 1...12, name: "an AgentEnvelope")
        do throws(WireError) {
            switch body.field {
            case 1: self = .welcome(try Welcome(decoding: body.content))
            case 2: self = .reject(try Reject(decoding: body.content))
            case 3: self = .load(try Load(decoding: body.content))
            case 4: self = .start(try Start(decoding: body.content))
            case 5: self = .credit(try Credit(decoding: body.content))
            case 6: self = .cancel(try Cancel(decoding: body.content))
            case 7: self = .countTokens(try CountTokens(decoding: body.content))
            case 8: self = .ping(try Ping(decoding: body.content))
            case 9: self = .shutdown(try Shutdown(decoding: body.content))
            case 10: self = .tokenize(try Tokenize(decoding: body.content))
            case 11: self = .embed(try Embed(decoding: body.content))
            default: self = .cancelEmbed(try CancelEmbed(decoding: body.content))
            }
        } catch {
            throw ContractViolation(error, in: "field \(body.field) of an AgentEnvelope")
        }
    }

    /// Appends the message as one frame, length first.
    package func appendFrame(to output: inout ByteQueue) {
        switch self {
        case .welcome(let message): output.appendFrame(field: 1, message)
        case .reject(let message): output.appendFrame(field: 2, message)
        case .load(let message): output.appendFrame(field: 3, message)
        case .start(let message): output.appendFrame(field: 4, message)
        case .credit(let message): output.appendFrame(field: 5, message)
        case .cancel(let message): output.appendFrame(field: 6, message)
        case .countTokens(let message): output.appendFrame(field: 7, message)
        case .ping(let message): output.appendFrame(field: 8, message)
        case .shutdown(let message): output.appendFrame(field: 9, message)
        case .tokenize(let message): output.appendFrame(field: 10, message)
        case .embed(let message): output.appendFrame(field: 11, message)
        case .cancelEmbed(let message): output.appendFrame(field: 12, message)
        }
    }

    /// The name of the message in the contract, for error texts.
    package var name: String {
        switch self {
        case .welcome: "Welcome"
        case .reject: "Reject"
        case .load: "Load"
        case .start: "Start"
        case .credit: "Credit"
        case .cancel: "Cancel"
        case .countTokens: "CountTokens"
        case .ping: "Ping"
        case .shutdown: "Shutdown"
        case .tokenize: "Tokenize"
        case .embed: "Embed"
        case .cancelEmbed: "CancelEmbed"
        }
    }
}

/// One message from a backend to the agent; the payload of a frame. `tokens` borrows the frame's bytes.
package enum BackendMessage {
    case hello(Hello)
    case loadProgress(LoadProgress)
    case loaded(Loaded)
    case tokens(TokenBatchView)
    case tokenCount(TokenCount)
    case pong(Pong)
    case fatal(Fault)
    case inspected(Inspected)
    case tokenized(Tokenized)
    case embedded(Embedded)

    /// Decodes the payload of a frame, a `hearth.backend.v1.BackendEnvelope`.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(ContractViolation) {
        let body = try EnvelopeBody(bytes, known: 1...10, name: "a BackendEnvelope")
        guard [4, 9, 10].contains(body.field) || body.content.count <= ContractLimits.messageBytesMax else {
            throw ContractViolation(
                .messageLength,
                "a message that is no TokenBatch, no Tokenized and no Embedded has \(body.content.count) bytes;"
                    + " at most \(ContractLimits.messageBytesMax)")
        }
        do throws(WireError) {
            switch body.field {
            case 1: self = .hello(try Hello(decoding: body.content))
            case 2: self = .loadProgress(try LoadProgress(decoding: body.content))
            case 3: self = .loaded(try Loaded(decoding: body.content))
            case 4: self = .tokens(TokenBatchView(body.content))
            case 5: self = .tokenCount(try TokenCount(decoding: body.content))
            case 6: self = .pong(try Pong(decoding: body.content))
            case 7: self = .fatal(try Fault(decoding: body.content))
            case 8: self = .inspected(try Inspected(decoding: body.content))
            case 9: self = .tokenized(try Tokenized(decoding: body.content))
            default: self = .embedded(try Embedded(decoding: body.content))
            }
        } catch {
            throw ContractViolation(error, in: "field \(body.field) of a BackendEnvelope")
        }
    }

    /// The batch of a frame that holds one and nothing else, as backends write it. Nil for any other frame, which
    /// `init(decoding:)` decodes: every frame accepted here is accepted there too, at three times the cost, and most
    /// frames are such.
    package static func tokens(in frame: UnsafeRawBufferPointer) -> TokenBatchView? {
        // Field 4, length-delimited; the length of a short one is a byte, that of a longer one two or more.
        guard frame.count >= 2, frame[0] == 4 << 3 | WireType.bytes.rawValue else { return nil }
        if frame[1] < 0x80 {
            guard Int(frame[1]) == frame.count &- 2 else { return nil }
            return TokenBatchView(UnsafeRawBufferPointer(rebasing: frame[2...]))
        }
        var reader = WireReader(UnsafeRawBufferPointer(rebasing: frame[1...]))
        guard let content = try? reader.bytes(), reader.isAtEnd else { return nil }
        return TokenBatchView(content)
    }

    /// Appends the message as one frame, length first.
    package func appendFrame(to output: inout ByteQueue) {
        switch self {
        case .hello(let message): output.appendFrame(field: 1, message)
        case .loadProgress(let message): output.appendFrame(field: 2, message)
        case .loaded(let message): output.appendFrame(field: 3, message)
        case .tokens(let batch):
            output.appendFrame(field: 4, byteCount: batch.remaining.count) { $0.raw(batch.remaining) }
        case .tokenCount(let message): output.appendFrame(field: 5, message)
        case .pong(let message): output.appendFrame(field: 6, message)
        case .fatal(let message): output.appendFrame(field: 7, message)
        case .inspected(let message): output.appendFrame(field: 8, message)
        case .tokenized(let message): output.appendFrame(field: 9, message)
        case .embedded(let message): output.appendFrame(field: 10, message)
        }
    }

    /// The name of the message in the contract, for error texts.
    package var name: String {
        switch self {
        case .hello: "Hello"
        case .loadProgress: "LoadProgress"
        case .loaded: "Loaded"
        case .tokens: "TokenBatch"
        case .tokenCount: "TokenCount"
        case .pong: "Pong"
        case .fatal: "Fault"
        case .inspected: "Inspected"
        case .tokenized: "Tokenized"
        case .embedded: "Embedded"
        }
    }
}

/// The one body of an envelope. Stricter than protobuf, which takes the last of several: two bodies in one frame are
/// always an error. Unknown fields are skipped, up to `ContractLimits.unknownBytesMax` bytes.
struct EnvelopeBody {
    let field: Int
    let content: UnsafeRawBufferPointer

    init(
        _ bytes: UnsafeRawBufferPointer, known: ClosedRange<Int>, name: String
    ) throws(ContractViolation) {
        var found: (field: Int, content: UnsafeRawBufferPointer)?
        var unknown = UnknownFields()
        do throws(WireError) {
            var reader = WireReader(bytes)
            while true {
                let start = reader.position
                guard let field = try reader.next() else { break }
                guard known.contains(field.number), field.type == .bytes else {
                    try unknown.skip(field, from: start, in: &reader, max: ContractLimits.unknownBytesMax)
                    continue
                }
                if found != nil { throw .repeated(field: field.number) }
                found = (field.number, try reader.bytes())
            }
        } catch {
            if case .repeated = error { throw ContractViolation(.oneBody, "\(name) is malformed: \(error)") }
            throw ContractViolation(error, in: name)
        }
        guard let found else { throw ContractViolation(.oneBody, "\(name) holds no message that this revision knows") }
        (field, content) = found
    }
}

/// Skips unknown fields, and counts their bytes.
struct UnknownFields {
    private(set) var byteCount = 0

    /// Skips the value of a field whose tag began at `start`. Throws once more than `max` bytes were skipped.
    mutating func skip(
        _ field: WireField, from start: Int, in reader: inout WireReader, max: Int
    ) throws(WireError) {
        try reader.skip(field.type)
        byteCount &+= reader.position &- start
        guard byteCount <= max else { throw .unknownFields(byteCountMax: max) }
    }
}

extension ByteQueue {
    /// One frame: the length, 4 bytes big-endian, and an envelope whose body is `message`.
    package mutating func appendFrame(field: Int, _ message: some WireMessage) {
        appendFrame(field: field, byteCount: message.encodedSize) { message.encode(to: &$0) }
    }

    /// One frame whose body has `byteCount` bytes, written in place.
    package mutating func appendFrame(field: Int, byteCount: Int, _ fill: (inout WireWriter) -> Void) {
        let envelope = WireSize.field(field, byteCount: byteCount)
        encode(byteCount: 4 + envelope) { writer in
            var length = UInt32(envelope).bigEndian
            withUnsafeBytes(of: &length) { writer.raw($0) }
            writer.field(field, byteCount: byteCount)
            fill(&writer)
        }
    }
}
