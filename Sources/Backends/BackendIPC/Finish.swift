package import WireFormat

/// Why a completion ended well; the numbers are those of `hearth.v1.FinishReason`.
package enum FinishReason: Int32, Sendable, CaseIterable {
    /// The model ended its turn, or a stop token was met.
    case stop = 1
    /// `max_tokens` was reached, or the context is full.
    case length = 2
    case cancelled = 3
}

/// How a sequence ended.
package struct Finish: WireMessage, Equatable, Sendable {
    package enum Outcome: Equatable, Sendable {
        case reason(FinishReason)
        case fault(Fault)
        /// Neither, or a reason that this revision does not know; the conversation refuses it.
        case unspecified
    }

    package var outcome: Outcome = .unspecified
    /// The stop token of the request that ended it.
    package var stopTokenID: UInt32?
    package var promptTokens: UInt32 = 0
    package var cachedPromptTokens: UInt32 = 0
    /// The place of the string that ended it among the request's stop strings.
    package var stop: UInt32?

    package init(
        _ outcome: Outcome, stopTokenID: UInt32? = nil, stop: UInt32? = nil, promptTokens: UInt32 = 0,
        cachedPromptTokens: UInt32 = 0
    ) {
        self.outcome = outcome
        self.stopTokenID = stopTokenID
        self.stop = stop
        self.promptTokens = promptTokens
        self.cachedPromptTokens = cachedPromptTokens
    }

    package var encodedSize: Int {
        var size = 0
        switch outcome {
        case .reason(let reason): size += WireSize.field(1, varint: UInt64(reason.rawValue))
        case .fault(let fault): size += WireSize.field(2, message: fault)
        case .unspecified: break
        }
        if let stopTokenID { size += WireSize.field(3, varint: UInt64(stopTokenID)) }
        if promptTokens != 0 { size += WireSize.field(4, varint: UInt64(promptTokens)) }
        if cachedPromptTokens != 0 { size += WireSize.field(5, varint: UInt64(cachedPromptTokens)) }
        if let stop { size += WireSize.field(6, varint: UInt64(stop)) }
        return size
    }

    package func encode(to writer: inout WireWriter) {
        switch outcome {
        case .reason(let reason): writer.field(1, varint: UInt64(reason.rawValue))
        case .fault(let fault): writer.field(2, message: fault)
        case .unspecified: break
        }
        if let stopTokenID { writer.field(3, varint: UInt64(stopTokenID)) }
        if promptTokens != 0 { writer.field(4, varint: UInt64(promptTokens)) }
        if cachedPromptTokens != 0 { writer.field(5, varint: UInt64(cachedPromptTokens)) }
        if let stop { writer.field(6, varint: UInt64(stop)) }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint):
                let reason = FinishReason(rawValue: try reader.enumeration())
                outcome = reason.map { .reason($0) } ?? .unspecified
            case (2, .bytes):
                if case .fault = outcome { throw .repeated(field: 2) }
                outcome = .fault(try Fault(decoding: try reader.bytes()))
            case (3, .varint): stopTokenID = try reader.uint32()
            case (4, .varint): promptTokens = try reader.uint32()
            case (5, .varint): cachedPromptTokens = try reader.uint32()
            case (6, .varint): stop = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}
