import GRPC
import Testing
import WireFormat

@testable import InferenceService

struct TurnReaderTests {
    /// A ring with the events "1", "2" and so on, of 6 bytes each with their prefix.
    private func ring(_ count: Int, bytesMax: Int = 1_000_000, eventsMax: Int = 1_000) -> EventRing {
        var ring = EventRing(bytesMax: bytesMax, eventsMax: eventsMax)
        append(count, to: &ring)
        return ring
    }

    private func append(_ count: Int, to ring: inout EventRing) {
        for _ in 0..<count {
            let digit = UInt8(ascii: "0") + UInt8((ring.lastSeq + 1) % 10)
            let isAppended = ring.append(byteCount: 1) { writer in [digit].withUnsafeBytes { writer.raw($0) } }
            #expect(isAppended)
        }
    }

    /// The texts of the events that are taken, one behind the other.
    private func take(
        _ reader: inout TurnReader, _ ring: inout EventRing, byteCount: Int = .max, keepsSent: Bool = true
    ) -> String {
        var text = ""
        reader.take(from: &ring, byteCount: byteCount, keepsSent: keepsSent) { bytes in
            #expect(bytes.count % (MessagePrefix.byteCount + 1) == 0, "whole events")
            for place in stride(from: MessagePrefix.byteCount, to: bytes.count, by: MessagePrefix.byteCount + 1) {
                text.append(Character(Unicode.Scalar(bytes[place])))
            }
        }
        return text
    }

    private func refusal(_ body: () throws(TurnReader.Refusal) -> Void) -> TurnReader.Refusal? {
        do throws(TurnReader.Refusal) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test func `what was sent is kept, and each event is sent once and in order`() {
        var (ring, reader) = (ring(3), TurnReader())
        #expect(take(&reader, &ring, byteCount: 7) == "12")
        #expect(take(&reader, &ring) == "3")
        #expect(take(&reader, &ring) == "")
        append(2, to: &ring)
        #expect(take(&reader, &ring) == "45")
        #expect(reader.sentSeq == 5)
        #expect(ring.eventCount == 5)
        #expect(reader.sentBytes == ring.byteCount)
    }

    @Test func `who comes back is sent what follows its last event, and what came before is let go`() throws {
        var (ring, reader) = (ring(5), TurnReader())
        #expect(take(&reader, &ring) == "12345")
        append(2, to: &ring)
        try reader.resume(after: 3, in: &ring)
        #expect(ring.releasedSeq == 3)
        #expect(take(&reader, &ring, byteCount: 1) == "4")
        try reader.resume(after: 3, in: &ring)
        #expect(take(&reader, &ring) == "4567")
        try reader.resume(after: 7, in: &ring)
        #expect(ring.isEmpty)
        append(1, to: &ring)
        #expect(take(&reader, &ring) == "8")
    }

    @Test func `from the start, while nothing was let go`() throws {
        var (ring, reader) = (ring(4), TurnReader())
        #expect(take(&reader, &ring) == "1234")
        try reader.resume(after: 0, in: &ring)
        #expect(take(&reader, &ring) == "1234")
    }

    @Test func `a turn that has not come so far, and one that has moved on, say so and stay as they are`() throws {
        var (ring, reader) = (ring(5), TurnReader())
        #expect(take(&reader, &ring, byteCount: 18) == "123")
        // The ring has it, but no call was sent it: the consumer would have a gap.
        #expect(refusal { () throws(TurnReader.Refusal) in try reader.resume(after: 4, in: &ring) } == .ahead(last: 3))
        #expect(refusal { () throws(TurnReader.Refusal) in try reader.acknowledge(4, in: &ring) } == .ahead(last: 3))
        try reader.acknowledge(2, in: &ring)
        #expect(
            refusal { () throws(TurnReader.Refusal) in try reader.resume(after: 1, in: &ring) }
                == .released(through: 2))
        #expect(take(&reader, &ring) == "45")
        // It was sent more before than it is sent again now.
        try reader.resume(after: 2, in: &ring)
        #expect(take(&reader, &ring, byteCount: 1) == "3")
        try reader.resume(after: 5, in: &ring)
        #expect(ring.isEmpty)
    }

    @Test func `an acknowledgement lets go of what was sent, once`() throws {
        var (ring, reader) = (ring(4), TurnReader())
        #expect(take(&reader, &ring, byteCount: 18) == "123")
        try reader.acknowledge(2, in: &ring)
        try reader.acknowledge(2, in: &ring)
        try reader.acknowledge(1, in: &ring)
        #expect(ring.eventCount == 2)
        #expect(take(&reader, &ring) == "4")
        try reader.acknowledge(4, in: &ring)
        #expect(ring.isEmpty)
        #expect(reader.sentBytes == 0)
    }

    @Test func `without an acknowledgement the oldest that were sent are let go, and nothing that was not sent`() {
        var (byEvents, reader) = (ring(0, eventsMax: 16), TurnReader())
        var text = ""
        for _ in 0..<30 {
            append(1, to: &byEvents)
            text += take(&reader, &byEvents)
            #expect(byEvents.eventCount <= 4)
        }
        #expect(text == "123456789012345678901234567890")
        #expect(byEvents.releasedSeq == 26)

        var (byBytes, other) = (ring(12, bytesMax: 96), TurnReader())
        // A quarter are 4 events; more than that was not sent.
        #expect(take(&other, &byBytes, byteCount: 12) == "12")
        #expect(byBytes.releasedSeq == 2)
        #expect(take(&other, &byBytes) == "3456789012")
        #expect(byBytes.eventCount == 4)
    }

    @Test func `where there is no room nothing that was sent is kept`() {
        var (ring, reader) = (ring(3), TurnReader())
        #expect(take(&reader, &ring, byteCount: 12, keepsSent: false) == "12")
        #expect(ring.eventCount == 1)
        #expect(take(&reader, &ring, keepsSent: false) == "3")
        #expect(ring.isEmpty)
    }

    /// The ring's memory is moved and grows meanwhile.
    @Test func `whatever is sent again, acknowledged and let go, its consumer has each event once`() throws {
        var (ring, reader) = (ring(0, bytesMax: 3_000, eventsMax: 400), TurnReader())
        var (text, seq) = ("", UInt64(0))
        for round in 0..<3_000 {
            if !ring.isHalfFull { append([0, 3, 1, 7][round % 4], to: &ring) }
            let taken = take(&reader, &ring, byteCount: [1, 40, .max][round % 3])
            // A part of it is lost with the connection.
            let part = round % 5 == 0 ? taken.prefix(taken.count / 2) : Substring(taken)
            text += part
            seq += UInt64(part.count)
            if round % 5 == 0 { try reader.resume(after: seq, in: &ring) }
            if round % 7 == 0 { try reader.acknowledge(seq, in: &ring) }
        }
        #expect(seq > 5_000)
        #expect(text == String((1...Int(seq)).map { Character("\($0 % 10)") }))
    }
}
