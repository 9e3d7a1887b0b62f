internal import EventLoop

/// The nine bytes before a frame's payload (RFC 9113, section 4.1).
package struct FrameHeader: Equatable, Sendable {
    package static let byteCount = 9

    /// The length of the payload, in bytes.
    package var length: Int
    package var type: UInt8
    package var flags: UInt8
    /// The stream's number, without the reserved bit.
    package var stream: Int32

    package init(length: Int, type: UInt8, flags: UInt8, stream: Int32) {
        self.length = length
        self.type = type
        self.flags = flags
        self.stream = stream
    }

    /// The types of RFC 9113, section 6, and of RFC 9218.
    package enum Kind: UInt8, Sendable {
        case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
        case priorityUpdate = 0x10
    }

    /// Nil: an extension, to be ignored (RFC 9113, section 5.5).
    package var kind: Kind? { Kind(rawValue: type) }

    /// END_STREAM, on DATA and HEADERS.
    package var endsStream: Bool { flags & 0x1 != 0 && (kind == .data || kind == .headers) }
    /// END_HEADERS, on HEADERS and CONTINUATION.
    package var endsHeaders: Bool { flags & 0x4 != 0 && (kind == .headers || kind == .continuation) }
    /// PRIORITY, on HEADERS.
    package var hasPriority: Bool { flags & 0x20 != 0 && kind == .headers }
    /// PADDED, on DATA and HEADERS.
    package var isPadded: Bool { flags & 0x8 != 0 && (kind == .data || kind == .headers) }
    /// ACK, on SETTINGS and PING.
    package var isAcknowledgement: Bool { flags & 0x1 != 0 && (kind == .settings || kind == .ping) }
}

/// Finds the frame headers in a peer's bytes, which may come in pieces of any size. Pure.
///
/// nghttp2 does not report the frames that it ignores, and those must be counted and checked too.
package struct FrameScanner: Sendable {
    private static let prefaceBytes = 24

    /// Bytes left to skip that belong to no header: a payload, or the client's preface.
    private var passing: Int
    /// The header that has begun: how many of its bytes have come, and those bytes, the first one highest.
    private var begun = 0
    private var high: UInt64 = 0
    /// Whether the payload is a part of a header block, padding included.
    private var isHeaderBlock = false
    /// The total bytes of header blocks that were skipped.
    private(set) var headerBlockBytes = 0

    /// `expectsPreface`: the peer is a client, and its bytes begin with a preface (RFC 9113, section 3.4), which is not
    /// looked at.
    package init(expectsPreface: Bool) { passing = expectsPreface ? FrameScanner.prefaceBytes : 0 }

    /// The next header that ends in `bytes`, from `position` on, which is moved past it; nil when there is none, with
    /// all of `bytes` taken. The payload is passed over by the next call.
    package mutating func next(in bytes: UnsafeRawBufferPointer, at position: inout Int) -> FrameHeader? {
        var steps = Int.max
        return next(in: bytes, at: &position, within: &steps)
    }

    /// The same, but also nil when the skipped bytes may cost `steps`, which are counted down. The cost is an upper
    /// bound: it takes each byte of a header block for a field, and each block for a call.
    package mutating func next(
        in bytes: UnsafeRawBufferPointer, at position: inout Int, within steps: inout Int
    ) -> FrameHeader? {
        while position < bytes.count, steps > 0 {
            if passing > 0 {
                pass(in: bytes, at: &position, within: &steps)
                continue
            }
            let byte = bytes[position]
            position += 1
            if begun < FrameHeader.byteCount - 1 {
                high = high << 8 | UInt64(byte)
                begun += 1
                continue
            }
            let header = finishHeader(lastByte: byte)
            steps -= header.kind == .headers ? WorkSteps.perCall : WorkSteps.perFrame
            return header
        }
        return nil
    }

    private mutating func pass(in bytes: UnsafeRawBufferPointer, at position: inout Int, within steps: inout Int) {
        var passed = min(passing, bytes.count - position)
        if isHeaderBlock {
            passed = min(passed, max(steps / WorkSteps.perHeaderField, 1))
            steps -= passed * WorkSteps.perHeaderField
            headerBlockBytes += passed
        } else {
            steps -= WorkSteps.copying(passed)
        }
        passing -= passed
        position += passed
    }

    /// Skips a part of the payload that the caller has processed; `next` skips the rest.
    mutating func pass(_ byteCount: Int) {
        assert(begun == 0 && byteCount <= passing)
        passing -= byteCount
    }

    private mutating func finishHeader(lastByte: UInt8) -> FrameHeader {
        let header = FrameHeader(
            length: Int(high >> 40), type: UInt8(truncatingIfNeeded: high >> 32),
            flags: UInt8(truncatingIfNeeded: high >> 24),
            stream: Int32(truncatingIfNeeded: (high & 0x7f_ffff) << 8 | UInt64(lastByte)))
        passing = header.length
        isHeaderBlock = header.kind == .headers || header.kind == .continuation
        begun = 0
        high = 0
        return header
    }
}
