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
        sampling = draft.sampling
        stopping = draft.stopping
        backendOptions = draft.backendOptions
    }

    /// A request whose prompt may not have come yet.
    private struct Draft {
        var requestID = ""
        var model = ""
        var prompt: Prompt?
        var sampling = Sampling()
        var stopping = Stopping()
        var backendOptions: [String: String] = [:]

        mutating func merge(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
            var reader = WireReader(bytes)
            while let field = try reader.next() {
                switch (field.number, field.type) {
                case (1, .bytes): requestID = try reader.string(field: 1)
                case (2, .bytes): model = try reader.string(field: 2)
                case (3, .bytes): try mergeMessages(try reader.bytes())
                case (4, .bytes): prompt = .text(try reader.string(field: 4))
                case (5, .bytes): try mergeTokenIDs(try reader.bytes())
                case (6, .bytes): try sampling.merge(try reader.bytes())
                case (7, .bytes): try stopping.merge(try reader.bytes())
                case (100, .bytes):
                    let option = try reader.stringEntry(field: 100)
                    backendOptions[option.key] = option.value
                default: try reader.skip(field.type)
                }
            }
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
            prompt = .messages(messages)
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
            default: try reader.skip(field.type)
            }
        }
    }
}
