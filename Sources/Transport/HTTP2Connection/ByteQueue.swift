/// Bytes in one contiguous piece of memory: appended in place at the tail, taken from the head.
///
/// Owns its memory; one thread at a time. Grows as asked, so its user bounds `count`.
package struct ByteQueue: ~Copyable {
    /// An empty queue gives its memory back when it holds more than this, so that a thousand idle streams cost little.
    private static let idleBytesMax = 8 << 10

    private var storage: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0

    /// Memory is kept when the queue runs empty.
    private let keepsMemory: Bool

    package init(keepingMemory: Bool = false) { keepsMemory = keepingMemory }

    deinit { storage?.deallocate() }

    @inline(__always) package var count: Int { tail &- head }
    package var isEmpty: Bool { head == tail }

    /// What is held; valid until the next change.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: storage.map { UnsafeRawPointer($0) + head }, count: tail - head)
    }

    /// Appends `byteCount` bytes, all of which `fill` writes.
    @inline(__always)
    package mutating func append(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        precondition(byteCount >= 0)
        if capacity &- tail < byteCount { makeRoom(byteCount) }
        guard let storage else { return }
        fill(UnsafeMutableRawBufferPointer(start: storage + tail, count: byteCount))
        tail &+= byteCount
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        append(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
    }

    package mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= tail - head)
        head += count
        guard head == tail else { return }
        head = 0
        tail = 0
        if capacity > ByteQueue.idleBytesMax, !keepsMemory { free() }
    }

    package mutating func removeAll() { removeFirst(count) }

    private mutating func free() {
        storage?.deallocate()
        storage = nil
        capacity = 0
    }

    /// Moves what is held to the front if that frees half of the memory, or else takes more of it.
    private mutating func makeRoom(_ wanted: Int) {
        let held = tail - head
        let needed = held + wanted
        if let storage, needed <= capacity, held <= capacity / 2 {
            memmoveDown(storage, from: head, count: held)
        } else {
            // Few steps: small at first, then at once what a stream holds at most, then doubling.
            var size = max(capacity, 512)
            while size < needed { size = size < (96 << 10) ? min(size * 8, 96 << 10) : size * 2 }
            if size == capacity { size *= 2 }
            let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            if let storage {
                larger.copyMemory(from: storage + head, byteCount: held)
                storage.deallocate()
            }
            storage = larger
            capacity = size
        }
        head = 0
        tail = held
    }

    private func memmoveDown(_ storage: UnsafeMutableRawPointer, from: Int, count: Int) {
        // Overlapping ranges are allowed (UnsafeMutableRawPointer.copyMemory has the meaning of memmove).
        storage.copyMemory(from: storage + from, byteCount: count)
    }
}
