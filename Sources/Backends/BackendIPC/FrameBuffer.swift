internal import ByteBuffer
internal import Glibc
package import LinuxSystem

/// The result of a read from the socket.
package enum ReadOutcome: Equatable, Sendable {
    case bytes(Int)
    /// Nothing waits (a non-blocking socket).
    case wouldBlock
    /// The other end closed.
    case end
}

/// Cuts what a socket gives into frames, which it gives out in place. It takes 128 KiB of memory, more only while a longer frame
/// comes in, and never more than the longest frame. One thread uses it.
///
///     while case .bytes = try buffer.read(from: socket) {
///         while let frame = try buffer.next() { ... }
///     }
package struct FrameBuffer: ~Copyable {
    /// What one read takes at most.
    package static let readBytesMax = 128 << 10

    /// The longest frame that is accepted.
    package var frameBytesMax: Int
    private var queue = ByteQueue(idleBytesMax: Self.readBytesMax)
    /// Bytes at the front of `queue` that `next` has given out.
    private var givenOut = 0
    /// Whether the last read filled the buffer: the socket may have more.
    package private(set) var isFull = false

    package init(frameBytesMax: Int) {
        precondition(frameBytesMax > 0 && frameBytesMax <= Int(Int32.max), "a frame's limit fits in 31 bits")
        self.frameBytesMax = frameBytesMax
    }

    /// The bytes that were read and not given out yet.
    package var count: Int { queue.count &- givenOut }

    /// These bytes; valid until the next change.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: queue.bytes[givenOut...]) }

    /// Makes one read(2). Frames given out before are invalid afterwards; so read only when `next` has returned nil.
    package mutating func read(from descriptor: CInt) throws(LinuxError) -> ReadOutcome {
        dropGivenOut()
        let incoming = ((try? pendingLength()) ?? nil).map { $0 + 4 } ?? 0
        let wanted = max(Self.readBytesMax, incoming) - queue.count
        precondition(wanted > 0, "whole frames are taken before more is read")
        let room = queue.room(for: wanted)
        while true {
            let count = Glibc.read(descriptor, room.baseAddress, wanted)
            if count > 0 {
                queue.filled(count)
                isFull = count == wanted
                return .bytes(count)
            }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            // The other end vanished with our bytes unread (unix(7)): the end, like a close.
            case ECONNRESET: return .end
            default: throw LinuxError.last("read from the backend socket")
            }
        }
    }

    /// Appends bytes from another source; they are copied, and frames given out before are invalid afterwards.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        dropGivenOut()
        queue.append(bytes)
    }

    /// The next whole frame's payload, or nil when more must be read first. Valid until the next `read`. Throws for a
    /// length of 0 or above `frameBytesMax`; the buffer is of no use afterwards.
    package mutating func next() throws(ContractViolation) -> UnsafeRawBufferPointer? {
        guard let length = try pendingLength(), count &- 4 >= length else { return nil }
        let first = givenOut &+ 4
        givenOut = first &+ length
        return UnsafeRawBufferPointer(rebasing: queue.bytes[first..<givenOut])
    }

    /// The length prefix of the next frame, once its four bytes have come.
    @inline(__always)
    private func pendingLength() throws(ContractViolation) -> Int? {
        guard count >= 4 else { return nil }
        let length = Int(UInt32(bigEndian: queue.bytes.loadUnaligned(fromByteOffset: givenOut, as: UInt32.self)))
        guard length > 0, length <= frameBytesMax else { throw refusal(ofLength: length) }
        return length
    }

    private func refusal(ofLength length: Int) -> ContractViolation {
        guard length > 0 else {
            return ContractViolation(.frameLength, "a frame has length 0; an envelope has at least 2 bytes")
        }
        return ContractViolation(
            .frameLength,
            "a frame announces \(length) bytes, above the limit of \(frameBytesMax);"
                + " write the length as 4 bytes, big-endian, and split large batches")
    }

    @inline(__always)
    private mutating func dropGivenOut() {
        queue.removeFirst(givenOut)
        givenOut = 0
    }
}
