/// Why bytes are not a protobuf message. Thrown by `WireReader` and by every hand-written decoder.
public enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes end inside a value, or a length points past the end.
    case truncated
    /// A varint of more than 64 bits.
    case varintTooLong
    /// A field number of 0 or above 2^29 - 1.
    case fieldNumber
    /// Wire types 3 and 4 (groups, which proto3 does not have), 6 or 7.
    case wireType
    /// A `string` field that is not UTF-8.
    case notUTF8(field: Int)
    /// A field that may occur once came twice.
    case repeated(field: Int)
    /// Unknown fields take more bytes than the reader accepts.
    case unknownFields(byteCountMax: Int)
    /// Token ids that are not packed in one piece, as proto3 writes them.
    case notPacked(field: Int)

    public var description: String {
        switch self {
        case .truncated: "the message ends inside a field"
        case .varintTooLong: "a varint is longer than 64 bits"
        case .fieldNumber: "a field number is 0 or above 536870911"
        case .wireType: "a field has a wire type that proto3 does not have"
        case .notUTF8(let field): "field \(field) is a string but not UTF-8"
        case .repeated(let field): "field \(field) appears twice"
        case .unknownFields(let max): "fields that this revision does not know take more than \(max) bytes"
        case .notPacked(let field): "field \(field) is not packed in one piece, as proto3 writes it"
        }
    }
}
