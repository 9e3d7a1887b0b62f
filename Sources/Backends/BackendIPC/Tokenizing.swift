package import WireFormat

/// Asks what the prompt of this request becomes.
package struct Tokenize: WireMessage, Equatable, Sendable {
    package var query: UInt32 = 0
    /// A serialized `hearth.v1.GenerateRequest`, as the consumer sent it.
    package var request: [UInt8] = []
    /// Whether the text is wanted, and not the tokens.
    package var wantsText = false

    package init(query: UInt32, request: [UInt8], wantsText: Bool) {
        self.query = query
        self.request = request
        self.wantsText = wantsText
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(query)) + WireSize.field(2, byteCount: request.count)
            + WireSize.field(3, varint: wantsText ? 1 : 0)
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(query))
        writer.field(2, bytes: request)
        writer.field(3, varint: wantsText ? 1 : 0)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            // A message field that occurs twice is merged, which equals decoding both contents concatenated.
            case (2, .bytes): request.append(contentsOf: try reader.bytes())
            case (3, .varint): wantsText = try reader.bool()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// The answer to `Tokenize`.
package struct Tokenized: WireMessage, Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        /// A serialized `hearth.v1.TokenizeResponse` of known fields within their bounds.
        case tokens([UInt8])
        case text([UInt8])

        var bytes: [UInt8] {
            switch self {
            case .tokens(let bytes), .text(let bytes): bytes
            }
        }

        var field: Int {
            switch self {
            case .tokens: 2
            case .text: 3
            }
        }
    }

    package var query: UInt32 = 0
    /// Its absence on the wire is a violation, which the conversation finds.
    package var result: Result<Content, Fault>?
    /// The length of the longest text of a decoded token.
    private(set) var longestTextBytes = 0

    package init(query: UInt32, result: Result<Content, Fault>) {
        self.query = query
        self.result = result
    }

    package var encodedSize: Int {
        let size = WireSize.field(1, varint: UInt64(query))
        switch result {
        case .success(let content): return size + WireSize.field(content.field, byteCount: content.bytes.count)
        case .failure(let fault): return size + WireSize.field(4, message: fault)
        case nil: return size
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(query))
        switch result {
        case .success(let content): writer.field(content.field, bytes: content.bytes)
        case .failure(let fault): writer.field(4, message: fault)
        case nil: break
        }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            case (2...4, .bytes):
                guard result == nil else { throw .repeated(field: field.number) }
                let content = try reader.bytes()
                switch field.number {
                case 2:
                    longestTextBytes = try Self.longestText(of: content)
                    result = .success(.tokens(Array(content)))
                case 3: result = .success(.text(Array(content)))
                default: result = .failure(try Fault(decoding: content))
                }
            default: try reader.skip(field.type)
            }
        }
    }

    /// Reads a `hearth.v1.TokenizeResponse`, which goes to a consumer as it is: nothing else may be in it.
    private static func longestText(of bytes: UnsafeRawBufferPointer) throws(WireError) -> Int {
        var longest = 0
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            guard field == WireField(number: 1, type: .bytes) else { throw .unknownFields(byteCountMax: 0) }
            var token = WireReader(try reader.bytes())
            while let part = try token.next() {
                switch (part.number, part.type) {
                case (1, .varint): _ = try token.uint32()
                case (2, .bytes): longest = max(longest, try token.bytes().count)
                default: throw .unknownFields(byteCountMax: 0)
                }
            }
        }
        return longest
    }
}
