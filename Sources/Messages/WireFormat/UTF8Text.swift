/// Checks bytes for UTF-8 (RFC 3629) in place.
public enum UTF8Text {
    /// The longest prefix of bytes that is UTF-8, and what follows it.
    public struct Prefix: Equatable, Sendable {
        /// The length of the longest prefix of whole scalars.
        public let byteCount: Int
        /// What follows that prefix.
        public let rest: Rest
    }

    public enum Rest: Equatable, Sendable {
        /// Nothing: all of it is UTF-8.
        case nothing
        /// One to three bytes that begin a scalar and may be completed by more.
        case unfinished
        /// Bytes that no continuation makes UTF-8: the first `byteCount` of them, one to three, are a truncated scalar
        /// or an invalid byte. One U+FFFD replaces them (Unicode 16, section 3.9, "U+FFFD Substitution of Maximal
        /// Subparts").
        case invalid(byteCount: Int)
    }

    public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool { prefix(of: bytes).rest == .nothing }

    /// The longest prefix of whole scalars; the tail of a split scalar is left over as `unfinished`.
    public static func prefix(of bytes: UnsafeRawBufferPointer) -> Prefix {
        var offset = 0
        while true {
            offset = pastASCII(bytes, from: offset)
            guard offset < bytes.count else { return Prefix(byteCount: offset, rest: .nothing) }
            switch scalar(bytes, at: offset) {
            case .whole(let length): offset &+= length
            case .unfinished: return Prefix(byteCount: offset, rest: .unfinished)
            case .invalid(let byteCount): return Prefix(byteCount: offset, rest: .invalid(byteCount: byteCount))
            }
        }
    }

    private enum Scalar {
        case whole(Int)
        case unfinished
        case invalid(byteCount: Int)
    }

    private static func pastASCII(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var offset = start
        while bytes.count &- offset >= 8 {
            let eight = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if eight & 0x8080_8080_8080_8080 != 0 { break }
            offset &+= 8
        }
        while offset < bytes.count, bytes[offset] < 0x80 { offset &+= 1 }
        return offset
    }

    /// One scalar of more than one byte; the ranges are those of RFC 3629, section 4.
    private static func scalar(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Scalar {
        let length: Int
        let second: ClosedRange<UInt8>
        switch bytes[offset] {
        case 0xc2...0xdf: (length, second) = (2, 0x80...0xbf)
        case 0xe0: (length, second) = (3, 0xa0...0xbf)
        case 0xed: (length, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: (length, second) = (3, 0x80...0xbf)
        case 0xf0: (length, second) = (4, 0x90...0xbf)
        case 0xf1...0xf3: (length, second) = (4, 0x80...0xbf)
        case 0xf4: (length, second) = (4, 0x80...0x8f)
        default: return .invalid(byteCount: 1)
        }
        for index in 1..<length {
            guard offset &+ index < bytes.count else { return .unfinished }
            let byte = bytes[offset &+ index]
            guard index == 1 ? second.contains(byte) : byte & 0xc0 == 0x80 else { return .invalid(byteCount: index) }
        }
        return .whole(length)
    }
}
