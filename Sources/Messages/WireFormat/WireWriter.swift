/// Writes protobuf fields into memory whose size the caller computed before with `WireSize`. It borrows the memory.
/// Every write is checked against the end: running over it is a broken invariant of the size computation and traps.
public struct WireWriter {
    @usableFromInline var position: UnsafeMutableRawPointer?
    @usableFromInline var room: Int

    @inlinable
    public init(_ memory: UnsafeMutableRawBufferPointer) {
        position = memory.baseAddress
        room = memory.count
    }

    /// Bytes that are still free; 0 once a message of the computed size was written.
    @inlinable
    public var remaining: Int { room }

    @inlinable
    mutating func take(_ count: Int) -> UnsafeMutableRawPointer {
        precondition(count <= room, "a message is larger than its computed size")
        // Room is left, so the memory has an address.
        let start = position.unsafelyUnwrapped
        position = start + count
        room &-= count
        return start
    }

    /// Most are tags and short lengths, of one byte: inlined, a store.
    @inlinable @inline(__always)
    public mutating func varint(_ value: UInt64) {
        if value < 0x80 {
            take(1).storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        } else {
            longVarint(value)
        }
    }

    @usableFromInline
    mutating func longVarint(_ value: UInt64) {
        var rest = value
        let start = take(WireSize.varint(value))
        var offset = 0
        while rest >= 0x80 {
            start.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: offset, as: UInt8.self)
            rest >>= 7
            offset &+= 1
        }
        start.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: offset, as: UInt8.self)
    }

    @inlinable
    public mutating func tag(_ field: Int, _ type: WireType) {
        varint(UInt64(truncatingIfNeeded: field) << 3 | UInt64(type.rawValue))
    }

    /// Raw bytes, without a tag.
    @inlinable
    public mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        take(bytes.count).copyMemory(from: source, byteCount: bytes.count)
    }
}

extension WireWriter {
    @inlinable
    public mutating func field(_ number: Int, varint value: UInt64) {
        tag(number, .varint)
        varint(value)
    }

    @inlinable
    public mutating func field(_ number: Int, bytes: UnsafeRawBufferPointer) {
        field(number, byteCount: bytes.count)
        raw(bytes)
    }

    /// The tag and length of a length-delimited field; its `byteCount` bytes are written next.
    @inlinable
    public mutating func field(_ number: Int, byteCount: Int) {
        tag(number, .bytes)
        varint(UInt64(truncatingIfNeeded: byteCount))
    }

    @inlinable
    public mutating func field(_ number: Int, fixed32 value: UInt32) {
        tag(number, .fixed32)
        take(4).storeBytes(of: value.littleEndian, as: UInt32.self)
    }

    @inlinable
    public mutating func field(_ number: Int, fixed64 value: UInt64) {
        tag(number, .fixed64)
        take(8).storeBytes(of: value.littleEndian, as: UInt64.self)
    }

    @inlinable
    public mutating func field(_ number: Int, float value: Float) { field(number, fixed32: value.bitPattern) }

    @inlinable
    public mutating func field(_ number: Int, bytes: [UInt8]) {
        bytes.withUnsafeBytes { field(number, bytes: $0) }
    }

    @inlinable
    public mutating func field(_ number: Int, string: String) {
        var string = string
        string.withUTF8 { field(number, bytes: UnsafeRawBufferPointer($0)) }
    }

    /// One entry of a `map<string, string>`.
    @inlinable
    public mutating func field(_ number: Int, entry: (key: String, value: String)) {
        field(number, byteCount: WireSize.entryContent(key: entry.key, value: entry.value))
        field(1, string: entry.key)
        field(2, string: entry.value)
    }
}

/// How many bytes a field takes; the counterpart of each `WireWriter` function.
public enum WireSize {
    @inlinable
    public static func varint(_ value: UInt64) -> Int {
        // Seven bits a byte, and one byte for zero.
        (70 &- (value | 1).leadingZeroBitCount) / 7
    }

    @inlinable
    public static func tag(_ field: Int) -> Int { varint(UInt64(truncatingIfNeeded: field) << 3) }

    @inlinable
    public static func field(_ number: Int, varint value: UInt64) -> Int { tag(number) &+ varint(value) }

    /// Tag, length and content of a length-delimited field.
    @inlinable
    public static func field(_ number: Int, byteCount: Int) -> Int {
        tag(number) &+ varint(UInt64(truncatingIfNeeded: byteCount)) &+ byteCount
    }

    @inlinable
    public static func field(_ number: Int, string: String) -> Int { field(number, byteCount: string.utf8.count) }

    @inlinable
    public static func fixed32(_ field: Int) -> Int { tag(field) + 4 }

    @inlinable
    public static func fixed64(_ field: Int) -> Int { tag(field) + 8 }

    @inlinable
    public static func field(_ number: Int, entry: (key: String, value: String)) -> Int {
        field(number, byteCount: entryContent(key: entry.key, value: entry.value))
    }

    @usableFromInline
    static func entryContent(key: String, value: String) -> Int { field(1, string: key) + field(2, string: value) }
}

/// A message with a hand-written codec.
public protocol WireMessage {
    /// Exactly the bytes that `encode` writes.
    var encodedSize: Int { get }
    func encode(to writer: inout WireWriter)
    /// Copies what it keeps, unless the type says otherwise. Unknown fields are skipped.
    init(decoding bytes: UnsafeRawBufferPointer) throws(WireError)
}

extension WireMessage {
    /// The message alone, in an array; not for the token path.
    public func serialized() -> [UInt8] {
        let size = encodedSize
        return [UInt8](unsafeUninitializedCapacity: size) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            encode(to: &writer)
            count = size - writer.remaining
        }
    }

    /// Decodes an array; not for the token path.
    public init(decoding bytes: [UInt8]) throws(WireError) {
        // A typed throw does not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(WireError) in try Self(decoding: memory) }
        }
        self = try result.get()
    }
}

extension WireWriter {
    /// A message as a field.
    @inlinable
    public mutating func field(_ number: Int, message: some WireMessage) {
        field(number, byteCount: message.encodedSize)
        message.encode(to: &self)
    }
}

extension WireSize {
    @inlinable
    public static func field(_ number: Int, message: some WireMessage) -> Int {
        field(number, byteCount: message.encodedSize)
    }
}
