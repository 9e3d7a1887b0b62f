package import WireFormat

/// Asks whether the backend makes progress.
package struct Ping: WireMessage, Equatable, Sendable {
    package var nonce: UInt64 = 0

    package init(nonce: UInt64) { self.nonce = nonce }

    package var encodedSize: Int { WireSize.field(1, varint: nonce) }

    package func encode(to writer: inout WireWriter) { writer.field(1, varint: nonce) }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): nonce = try reader.varint()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// The answer to `Ping`.
package struct Pong: WireMessage, Equatable, Sendable {
    package var nonce: UInt64 = 0
    package var steps: UInt64 = 0
    package var tokens: UInt64 = 0
    package var sequences: UInt32 = 0

    package init(nonce: UInt64, steps: UInt64, tokens: UInt64, sequences: UInt32) {
        self.nonce = nonce
        self.steps = steps
        self.tokens = tokens
        self.sequences = sequences
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: nonce) + WireSize.field(2, varint: steps) + WireSize.field(3, varint: tokens)
            + WireSize.field(4, varint: UInt64(sequences))
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: nonce)
        writer.field(2, varint: steps)
        writer.field(3, varint: tokens)
        writer.field(4, varint: UInt64(sequences))
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): nonce = try reader.varint()
            case (2, .varint): steps = try reader.varint()
            case (3, .varint): tokens = try reader.varint()
            case (4, .varint): sequences = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// Asks the backend to end its process within the grace.
package struct Shutdown: WireMessage, Equatable, Sendable {
    package var graceMilliseconds: UInt32 = 0

    package init(graceMilliseconds: UInt32) { self.graceMilliseconds = graceMilliseconds }

    package var encodedSize: Int { WireSize.field(1, varint: UInt64(graceMilliseconds)) }

    package func encode(to writer: inout WireWriter) { writer.field(1, varint: UInt64(graceMilliseconds)) }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): graceMilliseconds = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}
