internal import BackendIPC
internal import WireFormat

/// Tokens with their texts, as a consumer gets them.
public struct TokenList {
    /// A serialized `hearth.v1.TokenizeResponse`.
    private(set) var bytes: [UInt8] = []
    private(set) var isTooLong = false

    public init() {}

    /// Adds a token; its text has at most 1,024 bytes, and may begin or end inside a UTF-8 scalar. Returns false, and keeps
    /// nothing more, when all of them are longer than an answer may be: then the query is refused.
    @discardableResult
    public mutating func append(_ id: UInt32, text: UnsafeRawBufferPointer) -> Bool {
        let size = WireSize.field(1, varint: UInt64(id)) + WireSize.field(2, byteCount: text.count)
        let whole = WireSize.field(1, byteCount: size)
        guard !isTooLong, bytes.count + whole <= ContractLimits.tokenizedBytesMax else {
            isTooLong = true
            return false
        }
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: whole))
        bytes.withUnsafeMutableBytes { bytes in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
            writer.field(1, byteCount: size)
            writer.field(1, varint: UInt64(id))
            writer.field(2, bytes: text)
        }
        return true
    }
}
