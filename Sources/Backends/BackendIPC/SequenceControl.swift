package import WireFormat

/// Begins a sequence.
package struct Start: WireMessage, Equatable, Sendable {
    package var sequence: UInt32 = 0
    package var credit: UInt32 = 0
    /// A serialized `hearth.v1.GenerateRequest`, as the consumer sent it.
    package var request: [UInt8] = []
    /// The scope in which the KV cache may be reused: the cache of one scope is never used for another. Empty: nothing
    /// is shared. At most `ContractLimits.cacheScopeBytesMax`.
    package var cacheScope: [UInt8] = []
    /// What an earlier process computed of the completion; nil: it is a new one.
    package var continuation: Continuation?
    /// The bounds of the request, if the sender knows them; nil: they are read out of the request. Not sent.
    package var bounds: SequenceBounds?

    package init(
        sequence: UInt32, credit: UInt32, request: [UInt8], cacheScope: [UInt8] = [],
        continuation: Continuation? = nil, bounds: SequenceBounds? = nil
    ) {
        self.sequence = sequence
        self.credit = credit
        self.request = request
        self.cacheScope = cacheScope
        self.continuation = continuation
        self.bounds = bounds
    }

    /// The message without the fields that this revision does not have.
    package func spoken(in revision: UInt32) -> Start {
        var start = self
        if revision < 2 { start.cacheScope = [] }
        return start
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(sequence)) + WireSize.field(2, varint: UInt64(credit))
            + WireSize.field(3, byteCount: request.count)
            + WireSize.field(4, byteCount: cacheScope.count)
            + (continuation.map { WireSize.field(5, byteCount: $0.packedTokenIDs.count) } ?? 0)
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(sequence))
        writer.field(2, varint: UInt64(credit))
        writer.field(3, bytes: request)
        writer.field(4, bytes: cacheScope)
        if let continuation { writer.field(5, bytes: continuation.packedTokenIDs) }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): sequence = try reader.uint32()
            case (2, .varint): credit = try reader.uint32()
            // A message field that occurs twice is merged, which equals decoding both contents concatenated.
            case (3, .bytes): request.append(contentsOf: try reader.bytes())
            case (4, .bytes): cacheScope = Array(try reader.bytes())
            case (5, .bytes):
                // Packed fields may come in pieces.
                continuation = try Continuation(
                    packedTokenIDs: (continuation?.packedTokenIDs ?? []) + (try reader.bytes()))
            case (5, _): throw .notPacked(field: 5)
            default: try reader.skip(field.type)
            }
        }
    }
}

/// What an earlier process of a backend computed and sent of a completion, behind which another process goes on.
package struct Continuation: Equatable, Sendable {
    /// Its tokens, as the packed varints of a `TokenRun.token_ids`.
    package let packedTokenIDs: [UInt8]
    /// The number of its tokens.
    package let tokenCount: Int
    /// How far its tool calls had come. Not sent: the backend finds out.
    let toolCalls: ToolCallProgress

    /// Throws unless these are whole varints of 32 bits.
    package init(packedTokenIDs: [UInt8], toolCalls: ToolCallProgress = .init()) throws(WireError) {
        let count = packedTokenIDs.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try TokenRunView.countPacked(bytes) }
        }
        tokenCount = try count.get()
        self.packedTokenIDs = packedTokenIDs
        self.toolCalls = toolCalls
    }

    package var tokenIDs: [UInt32] {
        var ids: [UInt32] = []
        ids.reserveCapacity(tokenCount)
        packedTokenIDs.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            while !reader.isAtEnd, let id = try? reader.uint32() { ids.append(id) }
        }
        return ids
    }

    package static func == (one: Continuation, other: Continuation) -> Bool {
        one.packedTokenIDs == other.packedTokenIDs
    }
}

/// Lets the sequence compute this many more tokens.
package struct Credit: WireMessage, Equatable, Sendable {
    package var sequence: UInt32 = 0
    package var tokens: UInt32 = 0

    package init(sequence: UInt32, tokens: UInt32) {
        self.sequence = sequence
        self.tokens = tokens
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(sequence)) + WireSize.field(2, varint: UInt64(tokens))
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(sequence))
        writer.field(2, varint: UInt64(tokens))
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): sequence = try reader.uint32()
            case (2, .varint): tokens = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// Stops computing this sequence.
package struct Cancel: WireMessage, Equatable, Sendable {
    package var sequence: UInt32 = 0

    package init(sequence: UInt32) { self.sequence = sequence }

    package var encodedSize: Int { WireSize.field(1, varint: UInt64(sequence)) }

    package func encode(to writer: inout WireWriter) { writer.field(1, varint: UInt64(sequence)) }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): sequence = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}
