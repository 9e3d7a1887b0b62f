package import WireFormat

/// Asks for the vectors of some inputs, or for the scores of some documents.
package struct Embed: WireMessage, Equatable, Sendable {
    /// What is asked for; the number is the request's field in the contract.
    package enum Task: Int, Equatable, Sendable {
        case embed = 2
        case rerank = 3

        /// The capability of a backend that can do it.
        package var capability: String {
            switch self {
            case .embed: Hello.embed
            case .rerank: Hello.rerank
            }
        }

        /// The field of the request that each input, or document, stands in.
        fileprivate var inputField: Int {
            switch self {
            case .embed: 2
            case .rerank: 3
            }
        }
    }

    package var query: UInt32 = 0
    /// Its absence on the wire is a violation, which the conversation finds.
    package var task: Task?
    /// A serialized `hearth.v1.EmbedRequest` or `hearth.v1.RerankRequest`, as the consumer sent it.
    package var request: [UInt8] = []

    package init(query: UInt32, task: Task, request: [UInt8]) {
        self.query = query
        self.task = task
        self.request = request
    }

    /// The number of inputs or documents; 0 where the request is malformed.
    package var inputCount: Int {
        guard let field = task?.inputField else { return 0 }
        return request.withUnsafeBytes { memory in
            var reader = WireReader(memory)
            var count = 0
            do throws(WireError) {
                while let next = try reader.next() {
                    if next == WireField(number: field, type: .bytes) { count += 1 }
                    try reader.skip(next.type)
                }
            } catch {
                return 0
            }
            return count
        }
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(query))
            + (task.map { WireSize.field($0.rawValue, byteCount: request.count) } ?? 0)
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(query))
        if let task { writer.field(task.rawValue, bytes: request) }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            case (2...3, .bytes):
                let content = try reader.bytes()
                // A message field that occurs twice is merged, which equals decoding both contents concatenated; of
                // different members of a oneof the last one counts.
                if task?.rawValue != field.number { request = [] }
                task = Task(rawValue: field.number)
                request.append(contentsOf: content)
            default: try reader.skip(field.type)
            }
        }
    }
}

/// Tells that nobody waits for the answer to an `Embed`.
package struct CancelEmbed: WireMessage, Equatable, Sendable {
    package var query: UInt32 = 0

    package init(query: UInt32) { self.query = query }

    package var encodedSize: Int { WireSize.field(1, varint: UInt64(query)) }

    package func encode(to writer: inout WireWriter) { writer.field(1, varint: UInt64(query)) }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// The answer to `Embed`.
package struct Embedded: WireMessage, Equatable, Sendable {
    package var query: UInt32 = 0
    /// Nil: `values` holds the answer.
    package var fault: Fault?
    /// The vectors of all inputs, one behind the other, or a score for each document.
    package var values: [Float] = []
    /// The tokens that were computed for each; with a fault their number in all, or nothing.
    package var tokens: [UInt32] = []
    /// The tokens that were cut from each; empty where none was.
    package var leftOutTokens: [UInt32] = []

    package init(query: UInt32, values: [Float], tokens: [UInt32], leftOutTokens: [UInt32] = []) {
        self.query = query
        self.values = values
        self.tokens = tokens
        self.leftOutTokens = leftOutTokens
    }

    package init(query: UInt32, fault: Fault, tokens: UInt32 = 0) {
        self.query = query
        self.fault = fault
        self.tokens = tokens > 0 ? [tokens] : []
    }

    /// The tokens that were computed for it.
    package var computedTokens: UInt32 { UInt32(clamping: tokens.reduce(0) { $0 + UInt64($1) }) }

    package var encodedSize: Int {
        var size = WireSize.field(1, varint: UInt64(query))
        if let fault { size += WireSize.field(2, message: fault) }
        if !values.isEmpty { size += WireSize.field(3, byteCount: values.count * 4) }
        for (field, list) in [(4, tokens), (5, leftOutTokens)] where !list.isEmpty {
            size += WireSize.field(field, byteCount: Self.packedSize(list))
        }
        return size
    }

    private static func packedSize(_ list: [UInt32]) -> Int { list.reduce(0) { $0 + WireSize.varint(UInt64($1)) } }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(query))
        if let fault { writer.field(2, message: fault) }
        if !values.isEmpty {
            writer.field(3, byteCount: values.count * 4)
            writer.raw(floats: values[...])
        }
        for (field, list) in [(4, tokens), (5, leftOutTokens)] where !list.isEmpty {
            writer.field(field, byteCount: Self.packedSize(list))
            for number in list { writer.varint(UInt64(number)) }
        }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): query = try reader.uint32()
            case (2, .bytes):
                if fault != nil { throw .repeated(field: 2) }
                fault = try Fault(decoding: try reader.bytes())
            case (3, .bytes):
                if !values.isEmpty { throw .repeated(field: 3) }
                values = try [Float](packed: try reader.bytes())
            case (4, .bytes): try reader.uint32s(.bytes, into: &tokens)
            case (5, .bytes): try reader.uint32s(.bytes, into: &leftOutTokens)
            default: try reader.skip(field.type)
            }
            // Each takes a byte at least: the frame would hold a million of them.
            guard max(tokens.count, leftOutTokens.count) <= ContractLimits.embedInputsMax else {
                throw .repeated(field: field.number)
            }
        }
    }
}

extension [Float] {
    /// The content of a packed `repeated float`.
    fileprivate init(packed bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count % 4 == 0 else { throw .truncated }
        self.init(unsafeUninitializedCapacity: bytes.count / 4) { buffer, count in
            count = bytes.count / 4
            // On the wire they are little-endian, as in the memory of every processor that Swift compiles for.
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
        }
    }
}

extension WireWriter {
    /// The content of a packed `repeated float`.
    package mutating func raw(floats: ArraySlice<Float>) {
        floats.withUnsafeBytes { raw($0) }
    }
}
