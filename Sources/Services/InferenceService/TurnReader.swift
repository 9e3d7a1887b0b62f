internal import GRPC

/// How far the consumer of a turn that can be resumed was sent its events, and which of these are kept because it may come
/// back for them: all, until it acknowledges them, or until they would take a quarter of the ring. Pure.
struct TurnReader: Equatable {
    /// Why a turn does not go on behind the event that its consumer names.
    enum Refusal: Error, Equatable {
        /// No such event was sent; the last one that was has this number.
        case ahead(last: UInt64)
        /// Events behind it were let go, the last of them with this number.
        case released(through: UInt64)
    }

    /// The last event that was sent, to whichever call; 0: none.
    private(set) var sentSeq: UInt64 = 0
    /// The last event that was ever sent: a consumer that comes back is sent some again.
    private(set) var furthestSeq: UInt64 = 0
    /// The bytes of the kept events up to `sentSeq`.
    private(set) var sentBytes = 0

    init() {}

    /// Of a consumer that was sent so much of what the ring has. Nil where that cannot be.
    init?(sentSeq: UInt64, furthestSeq: UInt64, of ring: EventRing) {
        guard sentSeq >= ring.releasedSeq, sentSeq <= furthestSeq, furthestSeq <= ring.lastSeq else { return nil }
        (self.sentSeq, self.furthestSeq) = (sentSeq, furthestSeq)
        sentBytes = ring.byteCount(through: sentSeq)
    }

    /// Hands out the fewest events that were not sent and have so many bytes, or all, in one piece. `keepsSent`: whether
    /// there is room to keep what was sent.
    mutating func take(
        from ring: inout EventRing, byteCount: Int, keepsSent: Bool, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var taken = 0
        sentSeq = ring.read(after: sentSeq, keptBytes: sentBytes, byteCount: byteCount) {
            taken = $0.count
            body($0)
        }
        sentBytes += taken
        furthestSeq = max(furthestSeq, sentSeq)
        if taken > 0 { letGo(of: &ring, toBytes: keepsSent ? ring.bytesMax / 4 : 0, events: ring.eventsMax / 4) }
    }

    /// The consumer has all events up to this one.
    mutating func acknowledge(_ seq: UInt64, in ring: inout EventRing) throws(Refusal) {
        guard seq <= sentSeq else { throw .ahead(last: sentSeq) }
        letGo(of: &ring, through: seq, toBytes: 0, events: 0)
    }

    /// The consumer has come back, and wants the events behind this one.
    mutating func resume(after seq: UInt64, in ring: inout EventRing) throws(Refusal) {
        guard seq <= furthestSeq else { throw .ahead(last: furthestSeq) }
        guard seq >= ring.releasedSeq else { throw .released(through: ring.releasedSeq) }
        ring.releaseOldest(through: seq, toBytes: 0, events: 0)
        (sentSeq, sentBytes) = (seq, 0)
    }

    private mutating func letGo(of ring: inout EventRing, through seq: UInt64? = nil, toBytes: Int, events: Int) {
        let before = ring.byteCount
        ring.releaseOldest(through: seq ?? sentSeq, toBytes: toBytes, events: events)
        sentBytes -= before - ring.byteCount
    }
}
