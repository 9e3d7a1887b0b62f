internal import BackendIPC
internal import WireFormat

// A consumer's encoder may legally write a message in several pieces, so every message here is merged into what came
// before, as protobuf's own parsers do it.
extension GenerateRequest {
    /// Decodes a serialized `hearth.v1.GenerateRequest`; a fault says what is wrong with it.
    init(decoding bytes: [UInt8]) throws(EngineFault) {
        var draft = Draft()
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(WireError) in try draft.merge(memory) }
        }
        if case .failure(let error) = result {
            throw EngineFault(.invalidArgument, "the request is malformed: \(error)")
        }
        guard let prompt = draft.prompt else {
            throw EngineFault(.invalidArgument, "the request has no prompt; set messages, text or token_ids")
        }
        self.init(prompt: prompt)
        requestID = draft.requestID
        model = draft.model
        tools = draft.tools?.tools
        sampling = draft.sampling
        stopping = draft.stopping
        backendOptions = draft.backendOptions
        adapters = draft.adapters
        if let format = draft.format {
            // What is to be held must not run free.
            guard let grammar = format.grammar else {
                throw EngineFault(.unsupported, "the request's format is no grammar, and nothing else is known here")
            }
            self.grammar = grammar
        }
        logprobs = draft.output.logprobs.map { Int(min($0, UInt32(ContractLimits.logprobAlternativesMax))) }
    }

    /// Decodes a serialized `hearth.v1.EmbedInput`, whose fields are those of a request's prompt; others are skipped.
    static func prompt(ofInput bytes: UnsafeRawBufferPointer) throws(WireError) -> Prompt? {
        var draft = Draft()
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            guard try draft.mergePrompt(field, &reader) else {
                try reader.skip(field.type)
                continue
            }
        }
        return draft.prompt
    }

    /// The `hearth.v1.OutputOptions` of a request, as far as a backend has to know them.
    private struct Output {
        var logprobs: UInt32?

        mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                switch (field.number, field.type) {
                case (2, .varint): logprobs = try reader.uint32()
                default: try reader.skip(field.type)
                }
            }
        }
    }

    /// The `hearth.v1.OutputFormat` of a request: the agent passes grammars on, and makes one of what else there is.
    private struct Format {
        /// Nil where the kind is another one.
        var grammar: String?

        mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                switch (field.number, field.type) {
                case (2, .bytes): grammar = try reader.string(field: 2)
                default:
                    grammar = nil
                    try reader.skip(field.type)
                }
            }
        }
    }

    /// A request whose prompt may not have come yet.
    private struct Draft {
        var requestID = ""
        var model = ""
        var prompt: Prompt?
        var tools: ToolUse?
        var sampling = Sampling()
        var stopping = Stopping()
        var output = Output()
        var format: Format?
        var backendOptions: [String: String] = [:]
        var adapters: [Adapter]?

        mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                if try mergePrompt(field, &reader) { continue }
                switch (field.number, field.type) {
                case (1, .bytes): requestID = try reader.string(field: 1)
                case (2, .bytes): model = try reader.string(field: 2)
                case (6, .bytes): try sampling.merge(try reader.bytes())
                case (7, .bytes): try stopping.merge(try reader.bytes())
                case (8, .bytes): try output.merge(try reader.bytes())
                case (11, .bytes):
                    var merged = format ?? Format()
                    try merged.merge(try reader.bytes())
                    format = merged
                case (12, .bytes):
                    var use = tools ?? ToolUse()
                    try use.merge(try reader.bytes())
                    tools = use
                case (40, .bytes): try mergeAdapters(try reader.bytes())
                case (100, .bytes):
                    let option = try reader.stringEntry(field: 100)
                    backendOptions[option.key] = option.value
                default: try reader.skip(field.type)
                }
            }
        }

        /// Takes a field of the prompt; returns false for any other, which is not read.
        mutating func mergePrompt(_ field: WireField, _ reader: inout WireReader) throws(WireError) -> Bool {
            switch (field.number, field.type) {
            case (3, .bytes): try mergeMessages(try reader.bytes())
            case (4, .bytes): prompt = .text(try reader.string(field: 4))
            case (5, .bytes): try mergeTokenIDs(try reader.bytes())
            default: return false
            }
            return true
        }

        private mutating func mergeMessages(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var messages: [Message] = []
            if case .messages(let earlier) = prompt { messages = earlier }
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                switch (field.number, field.type) {
                case (1, .bytes): messages.append(try Message(decoding: try reader.bytes()))
                default: try reader.skip(field.type)
                }
            }
            nameResults(&messages)
            prompt = .messages(messages)
        }

        /// A tool's result that does not name its tool has the name of the call that it answers.
        private func nameResults(_ messages: inout [Message]) {
            var names: [String: String] = [:]
            for index in messages.indices {
                for call in messages[index].toolCalls { names[call.id] = call.name }
                guard messages[index].role == .tool, messages[index].name.isEmpty else { continue }
                messages[index].name = names[messages[index].toolCallID] ?? ""
            }
        }

        private mutating func mergeAdapters(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var adapters = adapters ?? []
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                switch (field.number, field.type) {
                case (1, .bytes): adapters.append(try Adapter(decoding: try reader.bytes()))
                default: try reader.skip(field.type)
                }
            }
            self.adapters = adapters
        }

        private mutating func mergeTokenIDs(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var ids: [UInt32] = []
            if case .tokenIDs(let earlier) = prompt { ids = earlier }
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                switch (field.number, field.type) {
                case (1, .bytes), (1, .varint): try reader.uint32s(field.type, into: &ids)
                default: try reader.skip(field.type)
                }
            }
            prompt = .tokenIDs(ids)
        }
    }
}

extension GenerateRequest.Message {
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init(role: .unspecified, content: "")
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): role = GenerateRequest.Role(rawValue: try reader.enumeration()) ?? .unspecified
            case (2, .bytes): content = try reader.string(field: 2)
            case (3, .bytes): content += try Self.text(ofPart: try reader.bytes())
            case (4, .bytes): name = try reader.string(field: 4)
            case (5, .bytes): toolCallID = try reader.string(field: 5)
            case (6, .bytes): toolCalls.append(try GenerateRequest.ToolCall(decoding: try reader.bytes()))
            case (7, .bytes): reasoning = try reader.string(field: 7)
            default: try reader.skip(field.type)
            }
        }
    }

    /// The text of a `hearth.v1.Part`; other parts need a capability that this kit does not have.
    private static func text(ofPart bytes: UnsafeRawBufferPointer) throws(WireError) -> String {
        var text = ""
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): text = try reader.string(field: 1)
            default: try reader.skip(field.type)
            }
        }
        return text
    }
}

extension GenerateRequest.ToolCall {
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init(id: "", name: "", arguments: "")
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): id = try reader.string(field: 1)
            case (2, .bytes): name = try reader.string(field: 2)
            case (3, .bytes): arguments = try reader.string(field: 3)
            default: try reader.skip(field.type)
            }
        }
        if arguments.isEmpty { arguments = "{}" }
    }
}

/// A `hearth.v1.ToolUse`, whose choice stands in two fields.
private struct ToolUse {
    private var use = GenerateRequest.Tools()
    private var choice: Int32 = 0
    private var required = ""

    var tools: GenerateRequest.Tools {
        var tools = use
        switch choice {
        case 2: tools.choice = .none
        case 3: tools.choice = .required(required.isEmpty ? nil : required)
        default: tools.choice = .auto
        }
        return tools
    }

    mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): use.tools.append(try GenerateRequest.Tools.Tool(decoding: try reader.bytes()))
            case (2, .varint): choice = try reader.enumeration()
            case (3, .bytes): required = try reader.string(field: 3)
            case (4, .varint): use.parallelCalls = try reader.bool()
            default: try reader.skip(field.type)
            }
        }
    }
}

extension GenerateRequest.Tools.Tool {
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init(name: "")
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): name = try reader.string(field: 1)
            case (2, .bytes): description = try reader.string(field: 2)
            case (3, .bytes): parameters = try reader.string(field: 3)
            default: try reader.skip(field.type)
            }
        }
    }
}

extension GenerateRequest.Adapter {
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init(name: "")
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): name = try reader.string(field: 1)
            case (2, .fixed32): scale = try reader.float()
            default: try reader.skip(field.type)
            }
        }
    }
}

extension Sampling {
    mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .fixed32): temperature = try reader.float()
            case (2, .fixed32): topP = try reader.float()
            case (3, .varint): topK = try reader.uint32()
            case (4, .fixed32): minP = try reader.float()
            case (5, .fixed32): frequencyPenalty = try reader.float()
            case (6, .fixed32): presencePenalty = try reader.float()
            case (7, .fixed32): repetitionPenalty = try reader.float()
            case (8, .varint): seed = try reader.varint()
            case (9, .varint): penaltyWindow = try reader.uint32()
            case (10, .fixed32): typicalP = try reader.float()
            case (11, .fixed32): topNSigma = try reader.float()
            case (12, .fixed32): xtcProbability = try reader.float()
            case (13, .fixed32): xtcThreshold = try reader.float()
            case (14, .fixed32): dryMultiplier = try reader.float()
            case (15, .fixed32): dryBase = try reader.float()
            case (16, .varint): dryAllowedLength = try reader.uint32()
            case (17, .varint): dryWindow = try reader.uint32()
            case (18, .bytes): try mergeBreakers(try reader.bytes())
            case (19, .bytes): logitBias.append(try LogitBias(decoding: try reader.bytes()))
            default: try reader.skip(field.type)
            }
        }
    }

    private mutating func mergeBreakers(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var texts = drySequenceBreakers ?? []
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): texts.append(try reader.string(field: 1))
            default: try reader.skip(field.type)
            }
        }
        drySequenceBreakers = texts
    }

    /// A serialized `hearth.v1.Sampling` of what holds for a model: all but the seed and the lists.
    var encodedDefaults: [UInt8] {
        let floats: [(field: Int, value: Float?)] = [
            (1, temperature), (2, topP), (4, minP), (5, frequencyPenalty), (6, presencePenalty), (7, repetitionPenalty),
            (10, typicalP), (11, topNSigma), (12, xtcProbability), (13, xtcThreshold), (14, dryMultiplier),
            (15, dryBase),
        ]
        let numbers: [(field: Int, value: UInt32?)] = [
            (3, topK), (9, penaltyWindow), (16, dryAllowedLength), (17, dryWindow),
        ]
        return SamplingFields.encoded(floats: floats, numbers: numbers)
    }
}

extension Sampling.LogitBias {
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init(token: 0, bias: 0)
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): token = try reader.uint32()
            case (2, .fixed32): bias = try reader.float()
            default: try reader.skip(field.type)
            }
        }
    }
}

extension Stopping {
    mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): maxTokens = try reader.uint32()
            case (2, .bytes): stop.append(try reader.string(field: 2))
            case (3, .bytes), (3, .varint): try reader.uint32s(field.type, into: &stopTokenIDs)
            case (4, .varint): ignoresEndOfTurn = try reader.bool()
            case (5, .varint): minTokens = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}
