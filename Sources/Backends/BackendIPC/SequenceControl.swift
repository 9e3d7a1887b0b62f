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
    /// The bounds of the request, if the sender knows them; nil: they are read out of the request. Not sent.
    package var bounds: SequenceBounds?

    package init(
        sequence: UInt32, credit: UInt32, request: [UInt8], cacheScope: [UInt8] = [], bounds: SequenceBounds? = nil
    ) {
        self.sequence = sequence
        self.credit = credit
        self.request = request
        self.cacheScope = cacheScope
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
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(sequence))
        writer.field(2, varint: UInt64(credit))
        writer.field(3, bytes: request)
        writer.field(4, bytes: cacheScope)
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
            default: try reader.skip(field.type)
            }
        }
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
