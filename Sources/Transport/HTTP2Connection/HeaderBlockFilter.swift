/// Finds the strings in a peer's header blocks that nghttp2 will not decode because they are too long, and puts others into
/// their place, byte for byte, so that what follows is decoded as the peer meant it; pure (RFC 7541, sections 5 and 6).
///
/// nghttp2 1.52 ends the connection for a name or a value above 64 KiB as it is encoded, while a whole header block may be
/// twice as long. Such a field is above what a header list may hold (or was made longer than it need be), so its call is
/// refused whatever it says; only the dynamic table must stay the same on both ends. Encoded in more than 64 KiB, a string has more than 17 KiB, for no
/// code of Huffman's is longer than 30 bits, and the table has 4 KiB: an entry that is longer empties it (section 4.4),
/// and so does its substitute, which has 16 KiB at least. The rest of its bytes becomes fields that are in no table. (In the
/// place of a path they come too early, and nghttp2 resets the stream: its call is answered before.)
///
/// Nothing is held back: the length of a string is changed in the byte in which it goes beyond the bound, and what comes
/// after it is overwritten where it is.
package struct HeaderBlockFilter: Sendable {
    /// NGHTTP2_HD_MAX_NV.
    package static let stringBytesMax = 1 << 16

    /// What the next byte of a header block is.
    private enum Place {
        case representation
        /// A continuation byte of an integer, which is an index, a size, or the length of a string.
        case integer(then: Next)
        case length(Part)
        case stringLength(Part)
        case string(Part, left: Int)
    }

    private enum Part { case name, value }
    private enum Next { case representation, value }

    private var frames: FrameScanner
    /// In the frame that is being received: the bytes left before its fragment of a header block, and those left of the
    /// fragment.
    private var prefixLeft = 0
    private var prefixHasPadding = false
    private var fragmentLeft = 0
    private var endsBlock = false
    /// A header block has begun and not ended.
    package private(set) var isInBlock = false

    private var place = Place.representation
    private var isHuffman = false
    private var length = 0
    private var shift = 0
    /// The part of the length that is kept of a string above the bound.
    private var keptLength = 0
    private var replaced: HeaderStringSubstitute?

    /// Bytes of the header block that has begun and not ended.
    package private(set) var blockBytes = 0
    /// Whether the piece that `next` has returned replaces a string, or a part of it.
    package private(set) var isReplacing = false
    /// A string is longer than any header block; nothing may be given to nghttp2 from here on.
    package private(set) var isBeyond = false

    /// `expectsPreface` as in `FrameScanner`.
    package init(expectsPreface: Bool) { frames = FrameScanner(expectsPreface: expectsPreface) }

    /// The end of the next piece of `bytes` from `start` on, which must be before their end. What was too long in the
    /// piece has been replaced, and it can be given to nghttp2. All of it is of one kind, as `isReplacing` says.
    package mutating func next(in bytes: UnsafeMutableRawBufferPointer, from start: Int) -> Int {
        isReplacing = replaced != nil
        var position = start
        while position < bytes.count, !isBeyond {
            if fragmentLeft > 0 || prefixLeft > 0 {
                let end = position + min(prefixLeft + fragmentLeft, bytes.count - position)
                let passed = pass(bytes, position..<end)
                frames.pass(passed - position)
                position = passed
                if (replaced != nil) != isReplacing { return position }
            } else if let frame = frames.next(in: UnsafeRawBufferPointer(bytes), at: &position) {
                begin(frame)
            }
        }
        return position
    }

    private mutating func begin(_ frame: FrameHeader) {
        switch frame.kind {
        case .headers:
            blockBytes = 0
            place = .representation
            replaced = nil
            isInBlock = true
            prefixHasPadding = frame.isPadded
            prefixLeft = min((frame.isPadded ? 1 : 0) + (frame.hasPriority ? 5 : 0), frame.length)
        case .continuation where isInBlock:
            prefixLeft = 0
        default:
            return
        }
        fragmentLeft = frame.length - prefixLeft
        endsBlock = frame.endsHeaders
        if fragmentLeft == 0 { endFragment() }
    }

    /// Goes over the bytes before the fragment, and the fragment, up to where a replacement begins or ends.
    private mutating func pass(_ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>) -> Int {
        var position = range.lowerBound
        while prefixLeft > 0, position < range.upperBound {
            if prefixHasPadding {
                // nghttp2 refuses more padding than there is.
                fragmentLeft = max(fragmentLeft - Int(bytes[position]), 0)
                prefixHasPadding = false
            }
            prefixLeft -= 1
            position += 1
        }
        let begin = position
        let end = position + min(fragmentLeft, range.upperBound - position)
        let wasReplacing = replaced != nil
        while position < end, (replaced != nil) == wasReplacing, !isBeyond { step(bytes, &position, end) }
        fragmentLeft -= position - begin
        blockBytes += position - begin
        if fragmentLeft == 0, prefixLeft == 0 { endFragment() }
        return position
    }

    private mutating func endFragment() {
        guard endsBlock, isInBlock else { return }
        isInBlock = false
        blockBytes = 0
        replaced = nil
    }
}

extension HeaderBlockFilter {
    /// Takes one byte, or as much of a string as there is.
    private mutating func step(_ bytes: UnsafeMutableRawBufferPointer, _ position: inout Int, _ end: Int) {
        let byte = bytes[position]
        switch place {
        case .representation:
            beginRepresentation(byte)
        case .integer(let next):
            if byte & 0x80 == 0 { place = next == .value ? .length(.value) : .representation }
        case .length(let part):
            isHuffman = byte & 0x80 != 0
            length = Int(byte & 0x7f)
            shift = 0
            if length == 0x7f { place = .stringLength(part) } else { beginString(part) }
        case .stringLength(let part):
            bytes[position] = lengthen(byte, part)
        case .string(let part, let left):
            return passString(part, left, bytes, &position, end)
        }
        position += 1
    }

    /// RFC 7541, sections 6.1 to 6.3.
    private mutating func beginRepresentation(_ byte: UInt8) {
        let prefix: UInt8 = byte & 0x80 != 0 ? 0x7f : byte & 0x40 != 0 ? 0x3f : byte & 0x20 != 0 ? 0x1f : 0x0f
        let isLiteral = byte & 0x80 == 0 && (byte & 0x40 != 0 || byte & 0x20 == 0)
        let index = byte & prefix
        if index == prefix {
            place = .integer(then: isLiteral ? .value : .representation)
        } else if isLiteral {
            place = .length(index == 0 ? .name : .value)
        } else {
            place = .representation
        }
    }

    /// One more byte of a string's length (RFC 7541, section 5.1); the byte to take its place.
    private mutating func lengthen(_ byte: UInt8, _ part: Part) -> UInt8 {
        let bits = Int(byte & 0x7f)
        // Above two megabytes, where no header block is as long.
        guard shift <= 14 || bits == 0 else {
            isBeyond = true
            return byte
        }
        var substitute = byte
        if shift <= 14 { length += bits << shift }
        // The two bytes before come to 16,510 at most, so that this one stands for three times 2^14 at least: one is kept.
        if shift == 14, length > Self.stringBytesMax {
            keptLength = length - (bits - 1) << 14
            substitute = byte & 0x80 | 1
        }
        shift += 7
        if byte & 0x80 == 0 { beginString(part) }
        return substitute
    }

    private mutating func beginString(_ part: Part) {
        if length > Self.stringBytesMax {
            replaced = HeaderStringSubstitute(
                for: length, keeping: keptLength, isHuffman: isHuffman, isName: part == .name)
            place = .string(part, left: length)
        } else if length > 0 {
            place = .string(part, left: length)
        } else {
            endString(part)
        }
    }

    private mutating func passString(
        _ part: Part, _ left: Int, _ bytes: UnsafeMutableRawBufferPointer, _ position: inout Int, _ end: Int
    ) {
        let passed = min(left, end - position)
        replaced?.write(into: UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + passed]))
        position += passed
        if passed < left {
            place = .string(part, left: left - passed)
        } else {
            replaced = nil
            endString(part)
        }
    }

    private mutating func endString(_ part: Part) {
        place = part == .name ? .length(.value) : .representation
    }
}

/// The replacement of a string that is too long: a shorter one, and behind it, in units of 2^14 bytes, literals without
/// indexing of a field of the static table, "accept-charset". Behind a name the units are turned by the two bytes that
/// begin such a literal: the first one's string is the name's value, and the last one's is the value that comes.
private struct HeaderStringSubstitute {
    private static let unitBytes = 1 << 14
    /// A literal without indexing whose name is number 15 of the static table (RFC 7541, section 6.2.2), and the length of
    /// its value, which takes the rest of a unit.
    private static let unitHead: [UInt8] = [0x0f, 0x00, 0x7f, 0xfc, 0x7e]

    private let kept: Int
    private let isHuffman: Bool
    private let turn: Int
    private var position = 0

    init(for length: Int, keeping kept: Int, isHuffman: Bool, isName: Bool) {
        assert((length - kept) % Self.unitBytes == 0)
        self.kept = kept
        self.isHuffman = isHuffman
        turn = isName ? 2 : 0
    }

    /// Fills the whole buffer with the next bytes.
    mutating func write(into buffer: UnsafeMutableRawBufferPointer) {
        for index in buffer.indices {
            buffer[index] = byte(at: position)
            position += 1
        }
    }

    private func byte(at position: Int) -> UInt8 {
        guard position < kept else {
            let offset = (position - kept + turn) % Self.unitBytes
            return offset < Self.unitHead.count ? Self.unitHead[offset] : UInt8(ascii: "0")
        }
        guard isHuffman else { return UInt8(ascii: "0") }
        // "0" is five bits of zero in Huffman's code (RFC 7541, appendix B); ones fill up the last byte.
        return position == kept - 1 ? 1 << UInt8(8 * kept % 5) - 1 : 0
    }
}
