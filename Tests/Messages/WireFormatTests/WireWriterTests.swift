import ByteBuffer
import InferenceMessages
import SwiftProtobuf
import Testing
import WireFormat

@Suite("WireWriter")
struct WireWriterTests {
    @Test(
        "a varint's size is what its writer writes",
        arguments: [0, 1, 127, 128, 16_383, 16_384, 1 << 21, 1 << 28, 1 << 35, 1 << 63, .max] as [UInt64])
    func varintSize(value: UInt64) throws {
        var memory = [UInt8](repeating: 0, count: 16)
        let written = memory.withUnsafeMutableBytes { memory in
            var writer = WireWriter(memory)
            writer.varint(value)
            return 16 - writer.remaining
        }
        #expect(written == WireSize.varint(value))
        let back = try memory.withUnsafeBytes { memory in
            var reader = WireReader(memory)
            return try reader.varint()
        }
        #expect(back == value)
    }

    @Test("an event encoded in place is the event that generated code decodes")
    func eventInPlace() throws {
        let text = "Grüße 🔥"
        let ids: [UInt8] = [1, 0xac, 0x02]
        let delta =
            WireSize.field(1, string: text) + WireSize.field(2, varint: 2) + WireSize.field(3, byteCount: ids.count)
        let size = WireSize.field(1, varint: 300) + WireSize.field(4, byteCount: delta)
        var output = ByteQueue()
        output.encode(byteCount: size) { writer in
            writer.field(1, varint: 300)
            writer.field(4, byteCount: delta)
            writer.field(1, string: text)
            writer.field(2, varint: 2)
            writer.field(3, bytes: ids)
        }
        let event = try Hearth_V1_ChatEvent(serializedBytes: [UInt8](output.bytes))
        #expect(event.seq == 300)
        #expect(event.delta.text == text)
        #expect(event.delta.tokenCount == 2)
        #expect(event.delta.tokenIds == [1, 300])
    }

    @Test("packed varints of unknown number are appended one by one")
    func appendedVarints() throws {
        var output = ByteQueue()
        for value in 0..<1_000 as Range<UInt64> { output.append(varint: value * value * value) }
        var reader = WireReader(output.bytes)
        for value in 0..<1_000 as Range<UInt64> { #expect(try reader.varint() == value * value * value) }
        #expect(reader.isAtEnd)
    }
}
