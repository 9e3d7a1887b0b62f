/// A queue of bytes in one contiguous piece of memory: appended in place at the tail, taken from the head. It holds
/// bytes that wait for a socket, incomplete input, and messages while they are put together.
///
/// Owns its memory; one thread at a time. Grows as asked, so its user bounds `count`. The interface is public and inlinable
/// because the compiler inlines only that across targets: a token is a handful of these calls.
public struct ByteQueue: ~Copyable {
    @usableFromInline var storage: UnsafeMutableRawPointer?
    @usableFromInline var capacity = 0
    @usableFromInline var head = 0
    @usableFromInline var tail = 0
    @usableFromInline let idleBytesMax: Int

    /// An empty queue gives its memory back when that is more than `idleBytesMax`: a thousand idle streams cost little.
    @inlinable
    public init(idleBytesMax: Int = 8 << 10) { self.idleBytesMax = idleBytesMax }

    deinit { storage?.deallocate() }

    @inlinable @inline(__always) public var count: Int { tail &- head }
    @inlinable @inline(__always) public var isEmpty: Bool { head == tail }

    /// The bytes in the queue; valid until the next change.
    @inlinable
    public var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: storage.map { UnsafeRawPointer($0) + head }, count: count)
    }

    /// Appends `byteCount` bytes, all of which `fill` writes.
    @inlinable @inline(__always)
    public mutating func append(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        precondition(byteCount >= 0)
        if capacity &- tail < byteCount { makeRoom(byteCount) }
        guard let storage else { return }
        fill(UnsafeMutableRawBufferPointer(start: storage + tail, count: byteCount))
        tail &+= byteCount
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        append(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
    }

    @inlinable
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count)
        head &+= count
        guard head == tail else { return }
        head = 0
        tail = 0
        if capacity > idleBytesMax { free() }
    }

    @inlinable
    public mutating func removeAll() { removeFirst(count) }

    /// Room for `byteCount` bytes behind the bytes in the queue, valid until the next change; `filled` then appends as
    /// many as were written there. It is for a read, whose length is not known before: memory is taken for just that
    /// much, and all bytes are moved when they do not fit.
    public mutating func room(for byteCount: Int) -> UnsafeMutableRawBufferPointer {
        precondition(byteCount >= 0)
        if capacity - tail < byteCount { hold(max(capacity, count + byteCount)) }
        return UnsafeMutableRawBufferPointer(start: storage.map { $0 + tail }, count: byteCount)
    }

    /// Appends the first `byteCount` bytes of the `room`, which were written.
    public mutating func filled(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= capacity - tail)
        tail += byteCount
    }

    /// Moves the bytes to the front if that frees half of the memory, or else takes more memory: so bytes are moved a
    /// bounded number of times.
    @usableFromInline
    mutating func makeRoom(_ wanted: Int) {
        let needed = count + wanted
        if needed <= capacity, count <= capacity / 2 { return hold(capacity) }
        // Few steps: small at first, then at once what a stream holds at most, then doubling.
        var size = max(capacity, 512)
        while size < needed { size = size < (96 << 10) ? min(size * 8, 96 << 10) : size * 2 }
        if size == capacity { size *= 2 }
        hold(size)
    }

    /// Moves the bytes to the front of `size` bytes of memory.
    private mutating func hold(_ size: Int) {
        let held = count
        if size == capacity {
            // Overlapping ranges are allowed (UnsafeMutableRawPointer.copyMemory has the meaning of memmove).
            if let storage { storage.copyMemory(from: storage + head, byteCount: held) }
        } else {
            let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            if let storage { larger.copyMemory(from: storage + head, byteCount: held) }
            storage?.deallocate()
            storage = larger
            capacity = size
        }
        head = 0
        tail = held
    }

    @usableFromInline
    mutating func free() {
        storage?.deallocate()
        storage = nil
        capacity = 0
    }
}
