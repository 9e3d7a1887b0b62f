/// The four kinds of value that proto3 puts on the wire (protobuf.dev, "Encoding").
public enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}

/// A tag: the field's number and the kind of value that follows.
public struct WireField: Equatable, Sendable {
    public let number: Int
    public let type: WireType

    @inlinable
    public init(number: Int, type: WireType) {
        self.number = number
        self.type = type
    }
}

/// Reads a protobuf message in place. It borrows the bytes, which must outlive it and every slice that it gives out;
/// it allocates nothing, checks every length, and throws on anything malformed. This target's interface is public and
/// inlinable because the compiler inlines only that across targets: a token is a handful of these calls.
public struct WireReader {
    @usableFromInline let source: UnsafeRawBufferPointer
    @usableFromInline var offset = 0

    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) { source = bytes }

    /// How many bytes of the message were read.
    @inlinable
    public var position: Int { offset }

    /// Whether the whole message was read.
    @inlinable
    public var isAtEnd: Bool { offset == source.count }

    /// The bytes that were not read yet.
    @inlinable
    public var remaining: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: source[offset...]) }

    /// The next field's tag, or nil at the end of the message. The caller then reads or skips the value.
    @inlinable
    public mutating func next() throws(WireError) -> WireField? {
        if offset == source.count { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number >= 1, number <= 0x1fff_ffff else { throw .fieldNumber }
        guard let type = WireType(rawValue: UInt8(truncatingIfNeeded: tag & 7)) else { throw .wireType }
        return WireField(number: Int(truncatingIfNeeded: number), type: type)
    }

    @inlinable
    public mutating func varint() throws(WireError) -> UInt64 {
        guard offset < source.count else { throw .truncated }
        let first = source[offset]
        if first < 0x80 {
            offset &+= 1
            return UInt64(first)
        }
        return try longVarint()
    }

    @usableFromInline
    mutating func longVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < source.count {
            let byte = source[offset]
            offset &+= 1
            // The tenth byte has room for one bit.
            if shift == 63, byte > 1 { throw .varintTooLong }
            value |= UInt64(byte & 0x7f) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        throw .truncated
    }

    /// A length-delimited value, in place.
    @inlinable
    public mutating func bytes() throws(WireError) -> UnsafeRawBufferPointer {
        let length = try varint()
        guard length <= UInt64(source.count &- offset) else { throw .truncated }
        let start = offset
        offset &+= Int(truncatingIfNeeded: length)
        return UnsafeRawBufferPointer(rebasing: source[start..<offset])
    }

    @inlinable
    public mutating func fixed32() throws(WireError) -> UInt32 {
        guard source.count &- offset >= 4 else { throw .truncated }
        defer { offset &+= 4 }
        return UInt32(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable
    public mutating func fixed64() throws(WireError) -> UInt64 {
        guard source.count &- offset >= 8 else { throw .truncated }
        defer { offset &+= 8 }
        return UInt64(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Skips the value of an unknown field.
    @inlinable
    public mutating func skip(_ type: WireType) throws(WireError) {
        switch type {
        case .varint: _ = try varint()
        case .fixed64: _ = try fixed64()
        case .bytes: _ = try bytes()
        case .fixed32: _ = try fixed32()
        }
    }
}

extension WireReader {
    /// A `uint32`; like protobuf's own parsers it keeps the low 32 bits.
    @inlinable
    public mutating func uint32() throws(WireError) -> UInt32 { UInt32(truncatingIfNeeded: try varint()) }

    /// An enum's number; a negative one comes as ten bytes.
    @inlinable
    public mutating func enumeration() throws(WireError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }

    @inlinable
    public mutating func bool() throws(WireError) -> Bool { try varint() != 0 }

    @inlinable
    public mutating func float() throws(WireError) -> Float { Float(bitPattern: try fixed32()) }

    /// A `string`, copied and checked to be UTF-8.
    public mutating func string(field: Int) throws(WireError) -> String {
        guard let text = String(validating: try bytes(), as: UTF8.self) else { throw .notUTF8(field: field) }
        return text
    }

    /// One entry of a `map<string, string>`: field 1 is the key, field 2 the value, either may be absent.
    public mutating func stringEntry(field: Int) throws(WireError) -> (key: String, value: String) {
        var entry = WireReader(try bytes())
        var key = ""
        var value = ""
        while let inner = try entry.next() {
            switch (inner.number, inner.type) {
            case (1, .bytes): key = try entry.string(field: field)
            case (2, .bytes): value = try entry.string(field: field)
            default: try entry.skip(inner.type)
            }
        }
        return (key, value)
    }

    /// The values of a `repeated uint32` field, packed or not, appended to `values`.
    public mutating func uint32s(_ type: WireType, into values: inout [UInt32]) throws(WireError) {
        guard type == .bytes else {
            values.append(try uint32())
            return
        }
        var packed = WireReader(try bytes())
        while !packed.isAtEnd { values.append(try packed.uint32()) }
    }
}
