package import WireFormat

/// Asks how many tokens the prompt of this request has.
package struct CountTokens: WireMessage, Equatable, Sendable {
    package var query: UInt32 = 0
    /// A serialized `hearth.v1.GenerateRequest`, as the consumer sent it.
    package var request: [UInt8] = []

    package init(query: UInt32, request: [UInt8]) {
        self.query = query
        self.request = request
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(query)) + WireSize.field(2, byteCount: request.count)
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(query))
        writer.field(2, bytes: request)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            // A message field that occurs twice is merged, which equals decoding both contents concatenated.
            case (2, .bytes): request.append(contentsOf: try reader.bytes())
            default: try reader.skip(field.type)
            }
        }
    }
}

/// The answer to `CountTokens`.
package struct TokenCount: WireMessage, Equatable, Sendable {
    package var query: UInt32 = 0
    /// Its absence on the wire is a violation, which the conversation finds.
    package var result: Result<UInt32, Fault>?

    package init(query: UInt32, result: Result<UInt32, Fault>) {
        self.query = query
        self.result = result
    }

    package var encodedSize: Int {
        let size = WireSize.field(1, varint: UInt64(query))
        switch result {
        case .success(let tokens): return size + WireSize.field(2, varint: UInt64(tokens))
        case .failure(let fault): return size + WireSize.field(3, message: fault)
        case nil: return size
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(query))
        switch result {
        case .success(let tokens): writer.field(2, varint: UInt64(tokens))
        case .failure(let fault): writer.field(3, message: fault)
        case nil: break
        }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            case (2, .varint): result = .success(try reader.uint32())
            case (3, .bytes):
                if case .failure = result { throw .repeated(field: 3) }
                result = .failure(try Fault(decoding: try reader.bytes()))
            default: try reader.skip(field.type)
            }
        }
    }
}
