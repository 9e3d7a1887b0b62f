internal import GRPC
internal import WireFormat

/// The events of one turn, each encoded once, until those who read them have taken them. Pure.
///
/// An event lies in it as it lies in the body of a call, behind its prefix, so that any number of events goes to a call in one
/// copy. Events are numbered from 1 without gaps (`ChatEvent.seq`); a reader says which it had last, and so any number of
/// readers can be at different places. What is in it is one piece of memory: an event that does not fit at the end moves
/// what is kept to the front. Bounded in bytes and in events; an empty one keeps `idleBytesMax`.
///
/// Its memory is an array and no `ByteQueue`, which cannot be copied: a turn is a value like any other. And it grows by doubling
/// only, for thousands of rings hold a little for long.
struct EventRing {
    /// An empty ring gives its memory back when that is more than this: thousands of turns stand still or are paced, and a
    /// paced token needs less.
    private static let idleBytesMax = 512

    /// The most bytes that it holds, prefixes included, and the most events.
    let bytesMax: Int
    let eventsMax: Int

    /// As much of it is used as is between `head` and `tail`.
    private var memory: [UInt8] = []
    private var head = 0
    private var tail = 0
    /// The last event that was appended, and the last that was released; 0: none.
    private(set) var lastSeq: UInt64 = 0
    private(set) var releasedSeq: UInt64 = 0

    init(bytesMax: Int, eventsMax: Int) {
        self.bytesMax = bytesMax
        self.eventsMax = eventsMax
    }

    var byteCount: Int { tail &- head }
    var eventCount: Int { Int(truncatingIfNeeded: lastSeq &- releasedSeq) }
    var isEmpty: Bool { head == tail }

    /// Whether so much is kept that nothing more should be asked for.
    var isHalfFull: Bool { byteCount > bytesMax / 2 || eventCount > eventsMax / 2 }

    /// Appends the event `lastSeq + 1` of `byteCount` bytes, all of which `fill` writes. False: there is no room, and nothing
    /// was appended.
    @inline(__always)
    mutating func append(byteCount: Int, _ fill: (inout WireWriter) -> Void) -> Bool {
        let whole = byteCount &+ MessagePrefix.byteCount
        guard whole <= bytesMax &- self.byteCount, eventCount < eventsMax else { return false }
        if memory.count &- tail < whole { makeRoom(whole) }
        let place = tail..<(tail &+ whole)
        memory.withUnsafeMutableBytes { memory in
            let place = UnsafeMutableRawBufferPointer(rebasing: memory[place])
            MessagePrefix.write(place, messageByteCount: byteCount)
            var writer = WireWriter(UnsafeMutableRawBufferPointer(rebasing: place[MessagePrefix.byteCount...]))
            fill(&writer)
            precondition(writer.remaining == 0, "an event is smaller than its computed size")
        }
        tail &+= whole
        lastSeq &+= 1
        return true
    }

    /// Hands out the fewest events behind `seq` that have `byteCount` bytes, or all of them, in one piece; `body` does not
    /// use the ring. Returns the last of them, or `seq` where there are none. Nil: events that follow `seq` were released,
    /// or there is no such event.
    @inline(__always)
    func read(after seq: UInt64, byteCount: Int, _ body: (UnsafeRawBufferPointer) -> Void) -> UInt64? {
        guard seq >= releasedSeq, seq <= lastSeq else { return nil }
        guard seq < lastSeq, byteCount > 0 else { return seq }
        return memory.withUnsafeBytes { memory in
            let start = seq == releasedSeq ? head : offset(behind: seq, in: memory)
            var (end, last) = (tail, lastSeq)
            if tail &- start > byteCount { (end, last) = piece(from: start, behind: seq, byteCount, in: memory) }
            body(UnsafeRawBufferPointer(rebasing: memory[start..<end]))
            return last
        }
    }

    /// Forgets the events up to this one, which every reader has taken. One that was forgotten before means nothing.
    @inline(__always)
    mutating func release(through seq: UInt64) {
        if seq == lastSeq {
            head = 0
            tail = 0
            releasedSeq = seq
            if memory.count > Self.idleBytesMax { memory = [] }
        } else if seq > releasedSeq, seq < lastSeq {
            head = memory.withUnsafeBytes { offset(behind: seq, in: $0) }
            releasedSeq = seq
        }
    }

    /// Where the event after `seq` begins.
    private func offset(behind seq: UInt64, in memory: UnsafeRawBufferPointer) -> Int {
        var offset = head
        for _ in releasedSeq..<seq { offset = end(ofEventAt: offset, in: memory) }
        return offset
    }

    /// The end of the fewest events from `start` on that have so many bytes, and the last one's number.
    private func piece(
        from start: Int, behind seq: UInt64, _ byteCount: Int, in memory: UnsafeRawBufferPointer
    ) -> (end: Int, last: UInt64) {
        var (offset, last) = (start, seq)
        while offset &- start < byteCount, last < lastSeq {
            offset = end(ofEventAt: offset, in: memory)
            last &+= 1
        }
        return (offset, last)
    }

    private func end(ofEventAt offset: Int, in memory: UnsafeRawBufferPointer) -> Int {
        let event = UnsafeRawBufferPointer(rebasing: memory[offset...])
        return offset &+ MessagePrefix.byteCount &+ MessagePrefix.messageByteCount(event)
    }

    /// Moves what is kept to the front where that leaves half of the memory free, or else takes more of it.
    private mutating func makeRoom(_ wanted: Int) {
        let kept = byteCount
        let (from, to) = (head, tail)
        if kept &+ wanted <= memory.count, kept <= memory.count / 2 {
            memory.withUnsafeMutableBytes { memory in
                UnsafeMutableRawBufferPointer(rebasing: memory[..<kept])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[from..<to]))
            }
        } else {
            var size = max(memory.count, 512)
            while size < kept &+ wanted || size == memory.count { size *= 2 }
            memory = [UInt8](unsafeUninitializedCapacity: size) { larger, count in
                let larger = UnsafeMutableRawBufferPointer(larger)
                larger.initializeMemory(as: UInt8.self, repeating: 0)
                memory.withUnsafeBytes { larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[from..<to])) }
                count = size
            }
        }
        head = 0
        tail = kept
    }
}
