import GRPC
import Testing
import WireFormat

@testable import InferenceService

struct EventRingTests {
    private func ring(bytesMax: Int = 1_000_000, eventsMax: Int = 1_000) -> EventRing {
        EventRing(bytesMax: bytesMax, eventsMax: eventsMax)
    }

    /// `#expect` cannot call what mutates.
    private func append(_ content: String, to ring: inout EventRing) -> Bool {
        ring.append(byteCount: content.utf8.count) { writer in
            Array(content.utf8).withUnsafeBytes { writer.raw($0) }
        }
    }

    private func expect(_ condition: Bool, at location: SourceLocation = #_sourceLocation) {
        #expect(condition, sourceLocation: location)
    }

    private func fill(_ ring: inout EventRing, _ contents: [String]) {
        for content in contents { expect(append(content, to: &ring)) }
    }

    /// The events in a piece of the ring, taken apart as a client does.
    private func events(_ bytes: UnsafeRawBufferPointer) -> [String] {
        var rest = bytes
        var events: [String] = []
        while rest.count >= MessagePrefix.byteCount {
            #expect(rest[0] == 0, "not compressed")
            let end = MessagePrefix.byteCount + MessagePrefix.messageByteCount(rest)
            events.append(String(decoding: rest[MessagePrefix.byteCount..<end], as: UTF8.self))
            rest = UnsafeRawBufferPointer(rebasing: rest[end...])
        }
        #expect(rest.isEmpty)
        return events
    }

    private func read(_ ring: EventRing, after seq: UInt64, byteCount: Int = .max) -> (events: [String], last: UInt64?)
    {
        var found: [String] = []
        let last = ring.read(after: seq, byteCount: byteCount) { found = events($0) }
        return (found, last)
    }

    @Test func `events are numbered from one, and read whole and in their order`() {
        var ring = ring()
        #expect(ring.isEmpty)
        fill(&ring, ["a", "", "ccc"])
        #expect(ring.lastSeq == 3)
        #expect(ring.eventCount == 3)
        #expect(ring.byteCount == 3 * MessagePrefix.byteCount + 4)
        expect(read(ring, after: 0) == (["a", "", "ccc"], 3))
        expect(read(ring, after: 2) == (["ccc"], 3))
        expect(read(ring, after: 3) == ([], 3))
    }

    @Test func `a reader finds its place by the bytes that there were, whatever was released meanwhile`() {
        for releases in 0..<6 {
            var ring = ring()
            fill(&ring, ["a", "bb", "ccc", "dddd"])
            let (seq, bytes) = (ring.lastSeq, ring.appendedBytes)
            switch releases {
            case 1: ring.release(through: 2)
            case 2: ring.release(through: 4)
            case 3: ring.releaseOldest(through: 3, toBytes: 0, events: 0)
            case 4: ring.releaseOldest(through: 4, toBytes: 0, events: 0)
            case 5: ring.releaseOldest(through: 4, toBytes: .max, events: 2)
            default: break
            }
            #expect(ring.appendedBytes == bytes)
            fill(&ring, ["eeeee", "f"])
            var found: [String] = []
            ring.read(after: seq, appendedBytes: bytes) { found = events($0) }
            #expect(found == ["eeeee", "f"], "\(releases)")
            found = []
            ring.read(after: ring.lastSeq, appendedBytes: ring.appendedBytes) { found = events($0) }
            #expect(found.isEmpty)
        }
    }

    @Test func `a reader takes the fewest events that have so many bytes`() {
        var ring = ring()
        fill(&ring, ["a", "b", "c"])
        expect(read(ring, after: 0, byteCount: 0) == ([], 0))
        expect(read(ring, after: 0, byteCount: 1) == (["a"], 1))
        expect(read(ring, after: 0, byteCount: 6) == (["a"], 1))
        expect(read(ring, after: 0, byteCount: 7) == (["a", "b"], 2))
        expect(read(ring, after: 1, byteCount: 7) == (["b", "c"], 3))
        expect(read(ring, after: 0, byteCount: 18) == (["a", "b", "c"], 3))
    }

    @Test func `readers are at different places, and what all have taken is forgotten`() {
        var ring = ring()
        fill(&ring, ["a", "b", "c", "d"])
        expect(read(ring, after: 3) == (["d"], 4))
        expect(read(ring, after: 1) == (["b", "c", "d"], 4))
        ring.release(through: 2)
        #expect(ring.eventCount == 2)
        expect(read(ring, after: 2) == (["c", "d"], 4))
        expect(read(ring, after: 3) == (["d"], 4))
        // Twice, and an earlier one, is nothing.
        ring.release(through: 2)
        ring.release(through: 1)
        #expect(ring.releasedSeq == 2)
        ring.release(through: 4)
        #expect(ring.isEmpty)
        fill(&ring, ["e"])
        expect(read(ring, after: 4) == (["e"], 5))
    }

    @Test func `who asks for what was forgotten, or for what never was, hears that it is not there`() {
        var ring = ring()
        fill(&ring, ["a", "b"])
        ring.release(through: 1)
        expect(read(ring, after: 0) == ([], nil))
        expect(read(ring, after: 3) == ([], nil))
        expect(read(ring, after: 1) == (["b"], 2))
    }

    @Test func `it holds so many bytes and so many events, and no gap is made when it is full`() {
        var few = ring(eventsMax: 2)
        fill(&few, ["a", "b"])
        expect(!append("c", to: &few))
        #expect(few.lastSeq == 2)
        few.release(through: 1)
        expect(append("c", to: &few))
        expect(read(few, after: 1) == (["b", "c"], 3))

        var small = ring(bytesMax: 3 * (MessagePrefix.byteCount + 10))
        fill(&small, [String](repeating: "0123456789", count: 3))
        expect(!append("", to: &small))
        small.release(through: 1)
        expect(!append("0123456789a", to: &small))
        expect(append("abcdefghij", to: &small))
        #expect(small.byteCount == small.bytesMax)
        expect(read(small, after: 3) == (["abcdefghij"], 4))
    }

    @Test func `it is half full by bytes or by events`() {
        var ring = ring(bytesMax: 100, eventsMax: 4)
        fill(&ring, ["a", "b"])
        #expect(!ring.isHalfFull)
        fill(&ring, ["c"])
        #expect(ring.isHalfFull)
        ring.release(through: 3)
        fill(&ring, [String(repeating: "x", count: 46)])
        #expect(ring.isHalfFull)
    }

    /// Short and long events, read a few at a time while more come: the memory grows, is moved and is given back.
    @Test func `whatever is moved in its memory, nothing is lost or changed`() {
        var ring = ring(bytesMax: 200_000)
        var (next, taken): (UInt64, UInt64) = (1, 0)
        func content(_ seq: UInt64) -> String {
            String(repeating: "\(seq) ", count: [1, 3, 40, 2, 900, 1, 7][Int(seq % 7)])
        }
        for round in 0..<2_000 {
            for _ in 0..<[3, 0, 5, 1][round % 4] where append(content(next), to: &ring) { next += 1 }
            let (found, last) = read(ring, after: taken, byteCount: [1, 4_000, 100, 20_000, .max][round % 5])
            guard let last else {
                Issue.record("events after \(taken) are not there")
                return
            }
            #expect(found == ((taken + 1)..<(last + 1)).map(content))
            taken = last
            ring.release(through: taken)
        }
        #expect(next > 3_000)
    }
}
