internal import GRPC
internal import WireFormat

/// The events of one turn, each encoded once, kept until its readers have taken them. Pure.
///
/// Events lie in the ring as in the body of a call, prefix included, so that any number of them goes to a call in one
/// copy. They are numbered from 1 without gaps (`ChatEvent.seq`); a reader names the last one that it had, so that
/// readers can be at different places. The ring is one piece of memory: when an event does not fit at the end, the kept
/// ones move to the front. Bounded in bytes and in events; an empty ring keeps `idleBytesMax`.
///
/// Its memory is an array and no `ByteQueue`, which cannot be copied, because a turn is a plain value. It grows by
/// doubling only, because thousands of rings hold a little for long.
struct EventRing {
    /// An empty ring gives its memory back when that is more than this: thousands of turns stand still or are paced, and a
    /// paced token needs less.
    private static let idleBytesMax = 512

    /// The most bytes that the ring holds, prefixes included, and the most events.
    let bytesMax: Int
    let eventsMax: Int

    /// The part between `head` and `tail` is used.
    private var memory: [UInt8] = []
    private var head = 0
    private var tail = 0
    /// The number of the last event that was appended, and of the last that was released; 0: none.
    private(set) var lastSeq: UInt64 = 0
    private(set) var releasedSeq: UInt64 = 0
    private var releasedBytes: UInt64 = 0

    init(bytesMax: Int, eventsMax: Int) {
        self.bytesMax = bytesMax
        self.eventsMax = eventsMax
    }

    /// One that keeps these events, whole ones with their prefixes, the first of which has this number, but for those up to
    /// `releasedSeq`. Nil where they are no whole events, or do not fit.
    init?(bytesMax: Int, eventsMax: Int, events: [UInt8], firstSeq: UInt64, releasedSeq: UInt64) {
        self.init(bytesMax: bytesMax, eventsMax: eventsMax)
        guard firstSeq > 0, firstSeq - 1 <= releasedSeq else { return nil }
        var (offset, seq, first) = (0, firstSeq - 1, 0)
        while offset < events.count {
            if seq == releasedSeq { first = offset }
            guard events.count - offset >= MessagePrefix.byteCount else { return nil }
            let count = events.withUnsafeBytes {
                MessagePrefix.messageByteCount(UnsafeRawBufferPointer(rebasing: $0[offset...]))
            }
            guard count <= events.count - offset - MessagePrefix.byteCount else { return nil }
            offset += MessagePrefix.byteCount + count
            seq += 1
        }
        guard seq >= releasedSeq else { return nil }
        if seq == releasedSeq { first = events.count }
        memory = Array(events[first...])
        tail = memory.count
        (lastSeq, self.releasedSeq) = (seq, releasedSeq)
        guard byteCount <= bytesMax, eventCount <= eventsMax else { return nil }
    }

    /// The kept events, each with its prefix.
    var kept: [UInt8] { Array(memory[head..<tail]) }

    var byteCount: Int { tail &- head }
    var eventCount: Int { Int(truncatingIfNeeded: lastSeq &- releasedSeq) }
    var isEmpty: Bool { head == tail }
    /// The bytes of all events that were ever appended.
    var appendedBytes: UInt64 { releasedBytes &+ UInt64(truncatingIfNeeded: byteCount) }

    /// Whether the ring is so full that no more tokens should be asked for.
    var isHalfFull: Bool { byteCount > bytesMax / 2 || eventCount > eventsMax / 2 }

    /// Appends the event `lastSeq + 1` of `byteCount` bytes, all of which `fill` writes. Returns false if there is no
    /// room, and appends nothing then.
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

    /// Hands out the fewest events behind `seq` that have `byteCount` bytes, or all of them, in one piece; `body` does
    /// not use the ring. Returns the number of the last of them, or `seq` where there are none. Nil: events that follow
    /// `seq` were released, or there is no such event.
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

    /// Releases the events up to this one, which every reader has taken. Has no effect for an event that was released
    /// before.
    @inline(__always)
    mutating func release(through seq: UInt64) {
        if seq == lastSeq {
            releasedBytes &+= UInt64(truncatingIfNeeded: byteCount)
            head = 0
            tail = 0
            releasedSeq = seq
            if memory.count > Self.idleBytesMax { memory = [] }
        } else if seq > releasedSeq, seq < lastSeq {
            let before = head
            head = memory.withUnsafeBytes { offset(behind: seq, in: $0) }
            releasedBytes &+= UInt64(truncatingIfNeeded: head &- before)
            releasedSeq = seq
        }
    }

    /// The bytes of the kept events up to this one. Takes time proportional to their number.
    func byteCount(through seq: UInt64) -> Int {
        guard seq > releasedSeq, seq <= lastSeq else { return 0 }
        return memory.withUnsafeBytes { offset(behind: seq, in: $0) } &- head
    }

    /// The same for a reader that was there when `appendedBytes` was this: it takes no time to find its place.
    func read(after seq: UInt64, appendedBytes bytes: UInt64, _ body: (UnsafeRawBufferPointer) -> Void) {
        _ = read(after: seq, keptBytes: Int(truncatingIfNeeded: bytes &- releasedBytes), byteCount: .max, body)
    }

    /// As the other `read`, for a reader that knows how many bytes the kept events up to `seq` have: it takes no time to
    /// find its place behind many of them.
    func read(
        after seq: UInt64, keptBytes: Int, byteCount: Int, _ body: (UnsafeRawBufferPointer) -> Void
    ) -> UInt64 {
        guard seq < lastSeq, byteCount > 0 else { return seq }
        return memory.withUnsafeBytes { memory in
            let start = head &+ keptBytes
            var (end, last) = (tail, lastSeq)
            if tail &- start > byteCount { (end, last) = piece(from: start, behind: seq, byteCount, in: memory) }
            body(UnsafeRawBufferPointer(rebasing: memory[start..<end]))
            return last
        }
    }

    /// Releases the oldest events, none behind `seq`, until the kept ones are within both bounds.
    mutating func releaseOldest(through seq: UInt64, toBytes bytes: Int, events: Int) {
        var (offset, released) = (head, releasedSeq)
        memory.withUnsafeBytes { memory in
            while released < min(seq, lastSeq), tail &- offset > bytes || Int(lastSeq &- released) > events {
                offset = end(ofEventAt: offset, in: memory)
                released &+= 1
            }
        }
        guard released > releasedSeq else { return }
        guard released < lastSeq else { return release(through: released) }
        releasedBytes &+= UInt64(truncatingIfNeeded: offset &- head)
        head = offset
        releasedSeq = released
    }

    /// The offset of the event after `seq`.
    private func offset(behind seq: UInt64, in memory: UnsafeRawBufferPointer) -> Int {
        var offset = head
        for _ in releasedSeq..<seq { offset = end(ofEventAt: offset, in: memory) }
        return offset
    }

    /// The end of the fewest events from `start` on that have so many bytes, and the number of the last one.
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

    /// Moves the kept events to the front if that leaves half of the memory free, and else takes more memory.
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
