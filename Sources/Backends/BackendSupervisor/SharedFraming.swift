internal import BackendIPC
internal import ByteBuffer
internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// Where the bytes of a backend's socket stand, in memory that others hold as well: whoever goes on with the backend after
/// a crash of this agent finds the next frame by it.
///
/// 32-bit numbers in the machine's order: the revision of this layout, 1 while the bytes are read, looked at or written (the
/// rest then means nothing), the number of unread bytes, and that of open `Embed`, which follow; the unread bytes begin at
/// `headBytes`. Owned by its `BackendConnection`.
final class SharedFraming {
    private static let revision: UInt32 = 1
    private static let headBytes = 64
    /// A frame, and what one read takes; nothing longer is kept.
    private static let unreadBytesMax = ContractLimits.backendFrameBytesMax + FrameBuffer.readBytesMax
    private static let byteCount = headBytes + unreadBytesMax

    let memory: Descriptor
    private let base: UnsafeMutableRawPointer

    /// As during a read.
    init() throws(LinuxError) {
        memory = try Descriptor.memoryFile("framing")
        guard ftruncate(memory.raw, off_t(Self.byteCount)) == 0 else { throw LinuxError.last("make room in memory") }
        let mapped = mmap(nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, memory.raw, 0)
        guard let mapped, mapped != MAP_FAILED else { throw LinuxError.last("map memory") }
        base = mapped
        store(Self.revision, at: 0)
        begin()
    }

    deinit { munmap(base, Self.byteCount) }

    /// Bytes are about to be read or written.
    func begin() {
        store(1, at: 1)
        // What follows must not be seen before it.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// All that was begun is done, up to these bytes, which were read and not looked at.
    func end(unread: UnsafeRawBufferPointer, embeds: Set<UInt32>) {
        // Then an agent that goes on takes the framing for unknown.
        guard unread.count <= Self.unreadBytesMax, embeds.count <= ContractLimits.embedsMax else { return }
        store(UInt32(unread.count), at: 2)
        store(UInt32(embeds.count), at: 3)
        for (index, query) in embeds.enumerated() { store(query, at: 4 + index) }
        if let start = unread.baseAddress { (base + Self.headBytes).copyMemory(from: start, byteCount: unread.count) }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        store(0, at: 1)
    }

    private func store(_ value: UInt32, at index: Int) {
        base.storeBytes(of: value, toByteOffset: 4 * index, as: UInt32.self)
    }

    /// What another agent has left; nil: where the next frame begins is not known. Whatever the memory holds.
    static func left(in memory: borrowing Descriptor) -> (unread: [UInt8], embeds: Set<UInt32>)? {
        var head = [UInt32](repeating: 0, count: headBytes / 4)
        guard pread(memory.raw, &head, headBytes, 0) == headBytes, head[0] == revision, head[1] == 0,
            head[2] <= UInt32(unreadBytesMax), head[3] <= UInt32(ContractLimits.embedsMax)
        else { return nil }
        var unread = [UInt8](repeating: 0, count: Int(head[2]))
        guard pread(memory.raw, &unread, unread.count, off_t(headBytes)) == unread.count else { return nil }
        return (unread, Set(head[4..<4 + Int(head[3])]))
    }

    /// Whoever finds this memory from now on finds it as during a read: another agent goes on with the backend.
    static func outdate(_ memory: borrowing Descriptor) {
        var mark: UInt32 = 1
        _ = pwrite(memory.raw, &mark, 4, 4)
    }
}
