internal import BackendIPC
internal import GRPC
internal import OutputGrammar
internal import WireFormat

/// Reads a serialized `ChatRequest`, `GenerateRequest`, `EmbedRequest` or `RerankRequest` in place, piece by piece: takes
/// out what the agent has to know, and checks everything else against its limits before anything is built of it. Pure.
///
/// A message of a few kilobytes can hold millions of entries. Here each costs nanoseconds and no memory, the first one
/// beyond a limit ends the scan, and a long message is read in as many pieces as its reader likes. As in protobuf's own
/// parsers, the pieces of a message field are merged, and of several scalars the last one counts (protobuf.dev,
/// "Encoding"); groups, which proto3 does not have, are malformed.
struct RequestScan {
    /// The result of reading a whole message.
    enum Outcome: Equatable {
        case generate(TurnRequest)
        case embedding(EmbeddingRequest)
        case cancel
        /// Events up to this one are not needed any more.
        case acknowledge(UInt64)
        case resume(ResumeRequest)
        /// A `ChatRequest` that holds none of these.
        case nothing
    }

    /// A step is one field, or this much of the following, which costs about the same.
    static let textBytesPerStep = 256
    static let jsonBytesPerStep = 32
    static let packedBytesPerStep = 32

    /// The reader's place in the message; `end` is the offset of the first byte behind it.
    private struct Place {
        let part: Part
        let end: Int
    }

    enum Part: Equatable {
        case chat, generate, messages, message, tokenIDs, sampling, stopping, output, queueTime, keepAlive
        case resumableFor, adapters
        case adapter
        case option
        case sequenceBreakers, logitBias
        case embed, input, rerank, resume
        case messagePart, media, messageCall, tools, tool
        /// A text that is one JSON object; `field` as in the next.
        case json(field: Int)
        case format, choices
        /// A long text, which has to be UTF-8; `field` is its number, for an error.
        case text(field: Int)
        case packedTokenIDs, packedStopTokenIDs
    }

    let limits: InferenceLimits
    private let name: String
    private var places: [Place]
    private var offset = 0
    private var fields = 0
    var request = TurnRequest()
    /// Nil for a request for a completion.
    var embedding: EmbeddingRequest?
    var conversation = ConversationScan()
    private var isCancel = false
    private var acknowledged: UInt64?
    /// Nil for a request of another kind.
    private var resume: ResumeRequest?
    /// The ranges of the pieces of the `GenerateRequest`.
    private var pieces: [Range<Int>] = []

    /// A scan of a `ChatRequest` with so many bytes.
    static func chat(byteCount: Int, limits: InferenceLimits) -> RequestScan {
        RequestScan("ChatRequest", Place(part: .chat, end: byteCount), limits)
    }

    /// A scan of a `GenerateRequest` with so many bytes.
    static func generate(byteCount: Int, limits: InferenceLimits) -> RequestScan {
        var scan = RequestScan("GenerateRequest", Place(part: .generate, end: byteCount), limits)
        scan.pieces = [0..<byteCount]
        return scan
    }

    /// A scan of an `EmbedRequest` or a `RerankRequest` with so many bytes.
    static func embedding(_ task: Embed.Task, byteCount: Int, limits: InferenceLimits) -> RequestScan {
        let (name, part): (String, Part) =
            switch task {
            case .embed: ("EmbedRequest", .embed)
            case .rerank: ("RerankRequest", .rerank)
            }
        var scan = RequestScan(name, Place(part: part, end: byteCount), limits)
        scan.embedding = EmbeddingRequest(task)
        return scan
    }

    /// A scan of a `ResumeRequest` with so many bytes.
    static func resume(byteCount: Int, limits: InferenceLimits) -> RequestScan {
        var scan = RequestScan("ResumeRequest", Place(part: .resume, end: byteCount), limits)
        scan.resume = ResumeRequest()
        return scan
    }

    private init(_ name: String, _ whole: Place, _ limits: InferenceLimits) {
        self.name = name
        self.limits = limits
        places = [whole]
    }

    /// Reads on for about `steps` steps, which are counted down. Returns nil if there is more to read. The bytes are
    /// the same each time. Throws INVALID_ARGUMENT for what is malformed or beyond a limit.
    mutating func advance(_ bytes: UnsafeRawBufferPointer, steps: inout Int) throws(Status) -> Outcome? {
        do throws(WireError) {
            while let place = places.last {
                guard steps > 0 else { return nil }
                if offset == place.end {
                    places.removeLast()
                    try left(place.part)
                    continue
                }
                switch place.part {
                case .text(let field), .json(let field):
                    try readText(bytes, to: place.end, field: field, steps: &steps)
                case .packedTokenIDs, .packedStopTokenIDs:
                    try readPacked(bytes, place, steps: &steps)
                default:
                    steps -= 1
                    try readField(bytes, place)
                }
            }
        } catch {
            throw refused ?? .undecodable(name, because: error)
        }
        if isCancel { return .cancel }
        if let acknowledged { return .acknowledge(acknowledged) }
        if let resume { return .resume(resume) }
        if var embedding {
            embedding.keepAlive = request.keepAlive
            embedding.messageContents = request.messageContents
            return .embedding(embedding)
        }
        return pieces.isEmpty ? .nothing : .generate(request)
    }

    /// The `GenerateRequest` as its backend gets it, in one copy; `requestID` is added where the consumer chose none. Its
    /// `format` is left out, and `grammar` added.
    func encoded(_ bytes: UnsafeRawBufferPointer, requestID: String, grammar: String?) -> [UInt8] {
        let added = request.requestID.isEmpty ? WireSize.field(1, string: requestID) : 0
        let format = grammar.map { WireSize.field(2, string: $0) }
        let byteCount = pieces.reduce(added + (format.map { WireSize.field(11, byteCount: $0) } ?? 0)) { $0 + $1.count }
        return [UInt8](unsafeUninitializedCapacity: byteCount) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            for piece in pieces { writer.raw(UnsafeRawBufferPointer(rebasing: bytes[piece])) }
            if added > 0 { writer.field(1, string: requestID) }
            if let grammar, let format {
                writer.field(11, byteCount: format)
                writer.field(2, string: grammar)
            }
            count = byteCount
        }
    }

    /// The status of a limit that was exceeded; it is thrown as a malformed message, because typed errors are of one
    /// type.
    private var refused: Status?

    mutating func refuse(_ status: Status) throws(WireError) {
        refused = status
        throw .truncated
    }
}

// MARK: - Fields

extension RequestScan {
    private mutating func readField(_ bytes: UnsafeRawBufferPointer, _ place: Place) throws(WireError) {
        fields += 1
        if fields > limits.requestFieldsMax {
            try refuse(
                RequestValidation.invalid(
                    "request", "has more than \(limits.requestFieldsMax) fields in all (requestFieldsMax)"))
        }
        let begin = offset
        var reader = WireReader(UnsafeRawBufferPointer(rebasing: bytes[offset..<place.end]))
        guard let field = try reader.next() else { return }
        // A plain value is read here; a value with parts of its own is entered, and read part by part.
        var entered: (part: Part, byteCount: Int)?
        if field.type == .bytes {
            let content = try reader.bytes()
            entered = try enter(place.part, field.number, content).map { ($0, content.count) }
        } else {
            try read(place.part, field, &reader)
        }
        offset = place.end - reader.remaining.count
        guard let (part, byteCount) = entered else { return }
        if part == .format, let piece = pieces.popLast() {
            // The backend gets a grammar in its place.
            pieces += [piece.lowerBound..<begin, offset..<piece.upperBound]
        }
        offset -= byteCount
        if part == .generate { pieces.append(offset..<offset + byteCount) }
        places.append(Place(part: part, end: offset + byteCount))
    }

    /// A value without parts, of a known field or of another one.
    private mutating func read(_ part: Part, _ field: WireField, _ reader: inout WireReader) throws(WireError) {
        switch (part, field.number, field.type) {
        case (.message, 1, .varint): conversation.message.role = try reader.enumeration()
        case (.tools, 2, .varint): request.tools?.choice = try reader.enumeration()
        case (.tools, 4, .varint): _ = try reader.bool()
        case (.tokenIDs, 1, .varint):
            _ = try reader.uint32()
            try countTokenIDs(1)
        case (.chat, 3, .varint):
            // Of several members of a oneof the last one counts.
            isCancel = false
            pieces = []
            request = TurnRequest()
            acknowledged = try reader.varint()
        case (.resume, 2, .varint): resume?.after = try reader.varint()
        case (.resume, 3, .varint): resume?.isCancel = try reader.bool()
        case (.generate, 13, .varint): request.choices = try reader.uint32()
        case (.generate, 14, .varint): request.wantsQueueEvents = try reader.bool()
        case (.sampling, 8, .varint): request.sampling.seed = try reader.varint()
        case (.sampling, 1, .fixed32): request.sampling.temperature = try reader.float()
        case (.sampling, 2, .fixed32): request.sampling.topP = try reader.float()
        case (.sampling, 4, .fixed32): request.sampling.minP = try reader.float()
        case (.sampling, 5, .fixed32): request.sampling.frequencyPenalty = try reader.float()
        case (.sampling, 6, .fixed32): request.sampling.presencePenalty = try reader.float()
        case (.sampling, 7, .fixed32): request.sampling.repetitionPenalty = try reader.float()
        case (.sampling, 9, .varint): request.sampling.penaltyWindow = try reader.uint32()
        case (.sampling, 10, .fixed32): request.sampling.typicalP = try reader.float()
        case (.sampling, 11, .fixed32): request.sampling.topNSigma = try reader.float()
        case (.sampling, 12, .fixed32): request.sampling.xtcProbability = try reader.float()
        case (.sampling, 13, .fixed32): request.sampling.xtcThreshold = try reader.float()
        case (.sampling, 14, .fixed32): request.sampling.dryMultiplier = try reader.float()
        case (.sampling, 15, .fixed32): request.sampling.dryBase = try reader.float()
        case (.sampling, 16, .varint): request.sampling.dryAllowedLength = try reader.uint32()
        case (.sampling, 17, .varint): request.sampling.dryWindow = try reader.uint32()
        case (.logitBias, 1, .varint): setLogitBias(\.tokenID, try reader.uint32())
        case (.logitBias, 2, .fixed32): setLogitBias(\.bias, try reader.float())
        case (.stopping, 1, .varint): request.stopping.maxTokens = try reader.uint32()
        case (.stopping, 3, .varint): try addStopTokenID(try reader.uint32())
        case (.stopping, 4, .varint): request.stopping.ignoresEndOfTurn = try reader.bool()
        case (.stopping, 5, .varint): request.stopping.minTokens = try reader.uint32()
        case (.output, 1, .varint): request.wantsTokenIDs = try reader.bool()
        case (.output, 2, .varint): request.logprobs = try reader.uint32()
        case (.queueTime, 1, .varint): request.queueTime?.seconds = Int64(bitPattern: try reader.varint())
        case (.queueTime, 2, .varint): request.queueTime?.nanoseconds = Int32(truncatingIfNeeded: try reader.varint())
        case (.keepAlive, 1, .varint): request.keepAlive?.seconds = Int64(bitPattern: try reader.varint())
        case (.keepAlive, 2, .varint): request.keepAlive?.nanoseconds = Int32(truncatingIfNeeded: try reader.varint())
        case (.resumableFor, 1, .varint): request.resumableFor?.seconds = Int64(bitPattern: try reader.varint())
        case (.resumableFor, 2, .varint):
            request.resumableFor?.nanoseconds = Int32(truncatingIfNeeded: try reader.varint())
        case (.embed, 3, .varint): embedding?.pooling = try reader.enumeration()
        case (.embed, 4, .varint): embedding?.normalises = try reader.bool()
        case (.embed, 5, .varint): embedding?.dimensions = try reader.uint32()
        case (.rerank, 4, .varint): embedding?.topN = try reader.uint32()
        case (.adapter, 2, .fixed32): setAdapter(\.scale, try reader.float())
        default: try reader.skip(field.type)
        }
    }

    /// A length-delimited value: read here, or returned as the part to be entered. An unknown one is skipped.
    private mutating func enter(
        _ part: Part, _ number: Int, _ content: UnsafeRawBufferPointer
    ) throws(WireError) -> Part? {
        switch (part, number) {
        case (.chat, 1):
            isCancel = false
            acknowledged = nil
            return .generate
        case (.chat, 2):
            // If several fields are there, the last one counts.
            isCancel = true
            acknowledged = nil
            pieces = []
            request = TurnRequest()
        case (.generate, 1):
            request.requestID = try short(content, "request_id", limits.requestIDBytesMax, field: 1)
        case (.generate, 2): request.model = try short(content, "model", limits.modelBytesMax, field: 2)
        case (.embed, 1), (.rerank, 1):
            let model = try short(content, "model", limits.modelBytesMax, field: 1)
            embedding?.model = model
        case (.embed, 2):
            try countInput("inputs")
            // Each is a conversation of its own.
            request.prompt = nil
            conversation.callIDs = []
            return .input
        case (.embed, 10), (.rerank, 10):
            request.keepAlive = request.keepAlive ?? TurnRequest.Duration()
            return .keepAlive
        case (.rerank, 2):
            embedding?.queryBytes = content.count
            return .text(field: 2)
        case (.rerank, 3):
            try countInput("documents")
            if content.isEmpty { try refuseEmpty("documents") }
            return .text(field: 3)
        case (.generate, 3), (.input, 3):
            if case .messages = request.prompt {} else { request.prompt = .messages(count: 0) }
            return .messages
        case (.generate, 4), (.input, 4):
            request.prompt = .text(byteCount: content.count)
            return .text(field: 4)
        case (.generate, 5), (.input, 5):
            if case .tokenIDs = request.prompt {} else { request.prompt = .tokenIDs(count: 0) }
            return .tokenIDs
        case (.generate, 6): return .sampling
        case (.sampling, 18):
            request.sampling.sequenceBreakers = request.sampling.sequenceBreakers ?? 0
            return .sequenceBreakers
        case (.sequenceBreakers, 1): try countSequenceBreaker(content)
        case (.sampling, 19):
            try countLogitBias()
            return .logitBias
        case (.generate, 7): return .stopping
        case (.generate, 8): return .output
        case (.generate, 9):
            request.queueTime = request.queueTime ?? TurnRequest.Duration()
            return .queueTime
        case (.generate, 10):
            request.keepAlive = request.keepAlive ?? TurnRequest.Duration()
            return .keepAlive
        case (.generate, 15):
            request.resumableFor = request.resumableFor ?? TurnRequest.Duration()
            return .resumableFor
        case (.resume, 1):
            let token = try short(content, "resume_token", limits.resumeTokenBytesMax, field: 1)
            resume?.token = token
        case (.generate, 11):
            request.format = request.format ?? TurnRequest.Format()
            return .format
        case (.format, 1):
            let schema = try short(content, "format.json_schema", limits.formatBytesMax, field: 1)
            request.format?.kind = .jsonSchema(schema)
        case (.format, 2):
            let grammar = try short(content, "format.grammar", limits.formatBytesMax, field: 2)
            request.format?.kind = .grammar(grammar)
        case (.format, 3):
            if case .choice? = request.format?.kind {} else { request.format?.kind = .choice([]) }
            return .choices
        case (.format, 4): request.format?.kind = .json
        case (.choices, 1): try addChoice(content)
        case (.generate, 40):
            request.adapters = request.adapters ?? []
            return .adapters
        case (.adapters, 1):
            try countAdapter()
            return .adapter
        case (.adapter, 1):
            let path = "adapters.adapters[\((request.adapters?.count ?? 1) - 1)].name"
            setAdapter(\.name, try short(content, path, limits.adapterNameBytesMax, field: 1))
        case (.generate, 100):
            request.optionCount += 1
            try checkOptions()
            return .option
        case (.option, 1), (.option, 2):
            request.optionBytes += content.count
            try checkOptions()
            return .text(field: 100)
        case (.messages, 1):
            try countMessage()
            return .message
        case (.message, _), (.messagePart, _), (.media, _), (.messageCall, _):
            return try enterConversation(part, number, content)
        case (.generate, 12):
            request.tools = request.tools ?? TurnRequest.Tools()
            return .tools
        case (.tools, _), (.tool, _): return try enterTools(part, number, content)
        case (.tokenIDs, 1): return .packedTokenIDs
        case (.stopping, 2): try addStop(content)
        case (.stopping, 3): return .packedStopTokenIDs
        default: break
        }
        return nil
    }

    /// A part was read to its end.
    private mutating func left(_ part: Part) throws(WireError) {
        switch part {
        case .input: try checkInput()
        case .message: try leftMessage()
        case .messagePart: try leftMessagePart()
        case .messageCall: try leftMessageCall()
        case .tool: try leftTool()
        case .json: try leftJSON()
        default: break
        }
    }

    mutating func short(
        _ content: UnsafeRawBufferPointer, _ path: String, _ byteCountMax: Int, field: Int
    ) throws(WireError) -> String {
        if content.count > byteCountMax {
            try refuse(RequestValidation.invalid(path, "has \(content.count) bytes", "at most \(byteCountMax)"))
        }
        guard let text = String(validating: content, as: UTF8.self) else { throw .notUTF8(field: field) }
        return text
    }
}

// MARK: - What may be long

extension RequestScan {
    private static func pieceBytes(_ steps: Int, _ bytesPerStep: Int) -> Int {
        let (bytes, overflow) = max(steps, 1).multipliedReportingOverflow(by: bytesPerStep)
        return overflow ? .max : bytes
    }

    private mutating func readText(
        _ bytes: UnsafeRawBufferPointer, to end: Int, field: Int, steps: inout Int
    ) throws(WireError) {
        let bytesPerStep = conversation.json == nil ? Self.textBytesPerStep : Self.jsonBytesPerStep
        // Longer than any scalar, so that each piece moves on.
        let piece = min(end - offset, Self.pieceBytes(steps, bytesPerStep))
        let prefix = UTF8Text.prefix(of: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + piece]))
        guard prefix.rest == .nothing || (prefix.rest == .unfinished && offset + piece < end) else {
            throw .notUTF8(field: field)
        }
        if conversation.json != nil {
            try readJSON(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + prefix.byteCount]))
        }
        offset += prefix.byteCount
        steps -= 1 + prefix.byteCount / bytesPerStep
    }

    private mutating func readPacked(
        _ bytes: UnsafeRawBufferPointer, _ place: Place, steps: inout Int
    ) throws(WireError) {
        let isPrompt = place.part == .packedTokenIDs
        var reader = WireReader(UnsafeRawBufferPointer(rebasing: bytes[offset..<place.end]))
        var taken = 0
        let most = Self.pieceBytes(steps, Self.packedBytesPerStep)
        var count = 0
        while !reader.isAtEnd, taken < most {
            let id = try reader.uint32()
            count += 1
            if !isPrompt { try addStopTokenID(id) }
            taken = place.end - offset - reader.remaining.count
        }
        if isPrompt { try countTokenIDs(count) }
        offset += taken
        steps -= 1 + taken / Self.packedBytesPerStep
    }
}

extension Status {
    fileprivate static func undecodable(_ name: String, because error: WireError) -> Status {
        Status(
            .invalidArgument, "the message is no hearth.v1.\(name) (\(error)); check the version of inference.proto")
    }
}
