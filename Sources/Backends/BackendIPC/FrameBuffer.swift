internal import Glibc
package import LinuxSystem

/// What a read from the socket gave.
package enum ReadOutcome: Equatable, Sendable {
    case bytes(Int)
    /// Nothing waits (a non-blocking socket).
    case wouldBlock
    /// The other end closed.
    case end
}

/// Reads the socket in bulk into one block of memory and gives out whole frames in place. It owns the memory: 128 KiB,
/// more only while a longer frame comes in, and never more than the longest frame. One thread uses it.
///
///     while case .bytes = try buffer.read(from: socket) {
///         while let frame = try buffer.next() { ... }
///     }
package struct FrameBuffer: ~Copyable {
    /// What one read takes at most.
    package static let readBytesMax = 128 << 10

    /// The longest frame that is taken.
    package var frameBytesMax: Int
    private var memory: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0

    package init(frameBytesMax: Int) {
        precondition(frameBytesMax > 0 && frameBytesMax <= Int(Int32.max), "a frame's limit fits in 31 bits")
        self.frameBytesMax = frameBytesMax
        memory = .allocate(byteCount: Self.readBytesMax, alignment: 16)
    }

    deinit { memory.deallocate() }

    /// Bytes that were read and not given out.
    package var count: Int { end - start }

    /// The last read took all that there was room for: there may be more.
    package var isFull: Bool { end == memory.count }

    /// One read(2) into the free part. Frames given out before are invalid afterwards; so read only when `next` has
    /// returned nil.
    package mutating func read(from descriptor: CInt) throws(LinuxError) -> ReadOutcome {
        makeRoom()
        precondition(end < memory.count, "whole frames are taken before more is read")
        while true {
            let count = Glibc.read(descriptor, memory.baseAddress.unsafelyUnwrapped + end, memory.count - end)
            if count > 0 {
                end += count
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

    /// Takes bytes that came some other way; they are copied.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if memory.count - end < bytes.count { grow(to: end - start + bytes.count) }
        UnsafeMutableRawBufferPointer(rebasing: memory[end...]).copyMemory(from: bytes)
        end += bytes.count
    }

    /// The next whole frame's payload, or nil when more must be read first. Valid until the next `read`. Throws for a
    /// length of 0 or above `frameBytesMax`; the buffer is of no use afterwards.
    package mutating func next() throws(ContractViolation) -> UnsafeRawBufferPointer? {
        guard let length = try pendingLength(), end &- start &- 4 >= length else { return nil }
        let first = start &+ 4
        start = first &+ length
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[first..<start])
    }

    /// The length that stands before the next frame, once its four bytes are here.
    private func pendingLength() throws(ContractViolation) -> Int? {
        guard end &- start >= 4 else { return nil }
        let length = Int(UInt32(bigEndian: memory.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        guard length > 0 else { throw ContractViolation("a frame has length 0; an envelope has at least 2 bytes") }
        guard length <= frameBytesMax else {
            throw ContractViolation(
                "a frame announces \(length) bytes, above the limit of \(frameBytesMax);"
                    + " write the length as 4 bytes, big-endian, and split large batches")
        }
        return length
    }

    /// Moves what is left to the front, and makes the memory fit the frame that is coming in.
    private mutating func makeRoom() {
        let waiting = end - start
        let needed = ((try? pendingLength()) ?? nil).map { $0 + 4 } ?? 0
        if needed > memory.count {
            grow(to: needed)
        } else if waiting == 0, memory.count > Self.readBytesMax {
            memory.deallocate()
            memory = .allocate(byteCount: Self.readBytesMax, alignment: 16)
        } else if start > 0 {
            memory.baseAddress.unsafelyUnwrapped.copyMemory(
                from: memory.baseAddress.unsafelyUnwrapped + start, byteCount: waiting)
        }
        start = 0
        end = waiting
    }

    private mutating func grow(to size: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[start..<end]))
        memory.deallocate()
        memory = larger
        end -= start
        start = 0
    }
}
