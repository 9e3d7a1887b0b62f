/// Bytes that wait to be written: appended at the end, taken from the front. It owns one block of memory, which grows
/// by doubling and is given back down to `idleBytesMax` once the buffer is empty. One thread uses it. It has no bound
/// of its own: who appends watches `count`.
public struct OutputBuffer: ~Copyable {
    /// An empty buffer keeps at most this much memory.
    public static let idleBytesMax = 256 << 10

    @usableFromInline var memory: UnsafeMutableRawBufferPointer
    @usableFromInline var start = 0
    @usableFromInline var end = 0

    public init(capacity: Int = 4096) {
        memory = .allocate(byteCount: max(capacity, 16), alignment: 16)
    }

    deinit { memory.deallocate() }

    /// Bytes that wait.
    @inlinable public var count: Int { end - start }
    @inlinable public var isEmpty: Bool { start == end }

    /// The bytes that wait; valid until the next mutation.
    @inlinable public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[start..<end]) }

    /// Appends exactly `byteCount` bytes, written in place by `fill`.
    @inlinable
    public mutating func append(byteCount: Int, _ fill: (inout WireWriter) -> Void) {
        reserve(byteCount)
        var writer = WireWriter(UnsafeMutableRawBufferPointer(rebasing: memory[end..<end + byteCount]))
        fill(&writer)
        precondition(writer.remaining == 0, "a message is smaller than its computed size")
        end += byteCount
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (memory.baseAddress.unsafelyUnwrapped + end).copyMemory(from: source, byteCount: bytes.count)
        end += bytes.count
    }

    /// Appends one varint: for lists that are packed before their length is known.
    @inlinable
    public mutating func append(varint value: UInt64) {
        reserve(10)
        var writer = WireWriter(UnsafeMutableRawBufferPointer(rebasing: memory[end...]))
        writer.varint(value)
        end = memory.count - writer.remaining
    }

    /// Takes bytes that were written away from the front.
    @inlinable
    public mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= end - start, "no more than what waits can be taken")
        start += count
        if start == end { removeAll() }
    }

    @inlinable
    public mutating func removeAll() {
        start = 0
        end = 0
        if memory.count > Self.idleBytesMax {
            memory.deallocate()
            memory = .allocate(byteCount: Self.idleBytesMax, alignment: 16)
        }
    }

    @inlinable
    mutating func reserve(_ count: Int) {
        if memory.count - end < count { makeRoom(count) }
    }

    @usableFromInline
    mutating func makeRoom(_ count: Int) {
        let waiting = end - start
        // Move to the front when that frees at least half, so that bytes are moved a bounded number of times.
        if start >= memory.count / 2, memory.count - waiting >= count {
            memory.baseAddress.unsafelyUnwrapped.copyMemory(
                from: memory.baseAddress.unsafelyUnwrapped + start, byteCount: waiting)
        } else {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(memory.count * 2, waiting + count), alignment: 16)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[start..<end]))
            memory.deallocate()
            memory = larger
        }
        start = 0
        end = waiting
    }
}
