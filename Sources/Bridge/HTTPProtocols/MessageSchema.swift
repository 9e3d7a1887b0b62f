internal import BaseEncodings
internal import InferenceMessages
internal import SwiftProtobuf
internal import WireFormat

/// The messages and calls of `hearth.admin.v1` as its descriptors tell them, and their JSON: proto3's mapping with the names
/// of the proto, in which what is not told apart from its default value is always there. 64-bit numbers are JSON numbers
/// below 2^53, which every reader can hold, and texts of digits from there on.
package struct MessageSchema: Sendable {
    package struct Field: Equatable, Sendable {
        package let name: String
        let number: Int
        package let kind: Kind
        package let isRepeated: Bool
        /// Whether it may be absent, and is then left out of JSON: an `optional` field, or a message.
        package let hasPresence: Bool
        /// What the proto says of it.
        package let comment: String
    }

    /// The kinds of value that `hearth.admin.v1` has.
    package enum Kind: Equatable, Sendable {
        case bool, string, int32, uint32, uint64, fixed64, float
        /// By its name without the package.
        case message(String)
    }

    /// A call of the service.
    package struct Call: Equatable, Sendable {
        /// The names of the messages, without the package.
        package let request: String
        package let response: String
        package let isStream: Bool
        package let comment: String
    }

    /// By their names without the package, each with its fields in the proto's order.
    package let messages: [String: [Field]]
    /// What the proto says of each message.
    package let comments: [String: String]
    package let calls: [String: Call]

    /// That of `hearth.admin.v1`. Built once; the descriptors are part of the program, and a test builds it.
    package static let admin = MessageSchema(base64: AdminDescriptors.base64)

    private init(base64: String) {
        guard let bytes = Base64.decode(base64.filter { !$0.isNewline }),
            let set = try? Google_Protobuf_FileDescriptorSet(serializedBytes: bytes), let file = set.file.first
        else { preconditionFailure("the descriptors of hearth.admin.v1 are damaged") }
        let remarks = Dictionary(
            file.sourceCodeInfo.location.map { ($0.path, Self.text($0.leadingComments)) }, uniquingKeysWith: { $1 })
        var messages: [String: [Field]] = [:]
        var comments: [String: String] = [:]
        var calls: [String: Call] = [:]
        // Paths of descriptor.proto: messages are field 4 of a file, services 6; fields and methods are field 2 of these.
        for (index, message) in file.messageType.enumerated() {
            let path = [4, Int32(index)]
            comments[message.name] = remarks[path] ?? ""
            messages[message.name] = message.field.enumerated().map { place, field in
                Field(field, comment: remarks[path + [2, Int32(place)]] ?? "")
            }
        }
        for (index, method) in (file.service.first?.method ?? []).enumerated() {
            calls[method.name] = Call(
                request: Self.own(method.inputType), response: Self.own(method.outputType),
                isStream: method.serverStreaming, comment: remarks[[6, 0, 2, Int32(index)]] ?? "")
        }
        (self.messages, self.comments, self.calls) = (messages, comments, calls)
    }

    /// ".hearth.admin.v1.Status" without the package.
    fileprivate static func own(_ name: String) -> String { name.split(separator: ".").last.map(String.init) ?? name }

    /// A comment as one paragraph.
    private static func text(_ comment: String) -> String {
        comment.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}

extension MessageSchema.Field {
    fileprivate init(_ field: Google_Protobuf_FieldDescriptorProto, comment: String) {
        name = field.name
        number = Int(field.number)
        isRepeated = field.label == .repeated
        self.comment = comment
        kind =
            switch field.type {
            case .bool: .bool
            case .string: .string
            case .int32: .int32
            case .uint32: .uint32
            case .uint64: .uint64
            case .fixed64: .fixed64
            case .float: .float
            case .message: .message(MessageSchema.own(field.typeName))
            default: preconditionFailure("\(field.name) is of a kind that its JSON is not known of")
            }
        var isMessage = false
        if case .message = kind { isMessage = true }
        hasPresence = !isRepeated && (isMessage || field.proto3Optional)
    }
}

// From the wire to JSON.
extension MessageSchema {
    /// The JSON of an encoded message. Throws 502 for bytes that are none.
    package func json(_ bytes: [UInt8], as message: String) throws(HTTPFailure) -> JSONOutput {
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(WireError) in try object(memory, message) }
        }
        do throws(WireError) {
            return try result.get()
        } catch {
            throw .broken("a message that is none: \(error)")
        }
    }

    private func object(_ bytes: UnsafeRawBufferPointer, _ message: String) throws(WireError) -> JSONOutput {
        let fields = messages[message] ?? []
        var values: [Int: [JSONOutput]] = [:]
        var reader = WireReader(bytes)
        while let tag = try reader.next() {
            // A newer agent may say more.
            guard let field = fields.first(where: { $0.number == tag.number }) else {
                try reader.skip(tag.type)
                continue
            }
            if field.isRepeated, tag.type == .bytes, !field.kind.isOfBytes {
                var packed = WireReader(try reader.bytes())
                while !packed.isAtEnd { values[tag.number, default: []].append(try value(&packed, field)) }
            } else {
                values[tag.number, default: []].append(try value(&reader, field))
            }
        }
        var members: [(String, JSONOutput)] = []
        for field in fields {
            let found = values[field.number] ?? []
            if field.isRepeated {
                members.append((field.name, .list(found)))
            } else if let last = found.last {
                members.append((field.name, last))
            } else if !field.hasPresence {
                members.append((field.name, field.kind.zero))
            }
        }
        return .object(members)
    }

    private func value(_ reader: inout WireReader, _ field: Field) throws(WireError) -> JSONOutput {
        switch field.kind {
        case .bool: .bool(try reader.bool())
        case .string: .string(try reader.string(field: field.number))
        case .int32: .integer(Int64(Int32(truncatingIfNeeded: try reader.varint())))
        case .uint32: .integer(Int64(try reader.uint32()))
        case .uint64: Self.number(try reader.varint())
        case .fixed64: Self.number(try reader.fixed64())
        case .float: .text("\(try reader.float())")
        case .message(let name): try object(try reader.bytes(), name)
        }
    }

    private static func number(_ value: UInt64) -> JSONOutput {
        value < 1 << 53 ? .integer(Int64(value)) : .string(String(value))
    }
}

extension MessageSchema.Kind {
    /// Whether the wire has it as bytes, so that a repeated one is never packed.
    fileprivate var isOfBytes: Bool {
        switch self {
        case .string, .message: true
        case .bool, .int32, .uint32, .uint64, .fixed64, .float: false
        }
    }

    fileprivate var zero: JSONOutput {
        switch self {
        case .bool: .bool(false)
        case .string: .string("")
        case .int32, .uint32, .uint64, .fixed64, .float: .integer(0)
        case .message: .null
        }
    }
}

// From a request's values to the wire.
extension MessageSchema {
    /// A value of a request's field.
    enum Value: Equatable, Sendable {
        case bool(Bool)
        case number(UInt64)
        case text(String)
        case texts([String])
    }

    /// The encoded message of these fields.
    static func encoded(_ values: [(Field, Value)]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (field, value) in values {
            switch value {
            case .bool(let flag):
                append(WireSize.field(field.number, varint: flag ? 1 : 0)) {
                    $0.field(field.number, varint: flag ? 1 : 0)
                }
            case .number(let number) where field.kind == .fixed64:
                append(WireSize.fixed64(field.number)) { $0.field(field.number, fixed64: number) }
            case .number(let number):
                append(WireSize.field(field.number, varint: number)) { $0.field(field.number, varint: number) }
            case .text(let text):
                append(WireSize.field(field.number, string: text)) { $0.field(field.number, string: text) }
            case .texts(let texts):
                for text in texts {
                    append(WireSize.field(field.number, string: text)) { $0.field(field.number, string: text) }
                }
            }
        }
        return bytes

        func append(_ size: Int, _ write: (inout WireWriter) -> Void) {
            bytes += [UInt8](unsafeUninitializedCapacity: size) { memory, count in
                var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
                write(&writer)
                count = size - writer.remaining
            }
        }
    }
}
