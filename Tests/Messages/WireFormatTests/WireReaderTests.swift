import SeededRandom
import SwiftProtobuf
import Testing
import WireFormat

@Suite("WireReader")
struct WireReaderTests {
    /// Reads and skips a whole message; the field numbers that it had.
    private func walk(_ bytes: [UInt8]) throws -> [Int] {
        try bytes.withUnsafeBytes { memory in
            var reader = WireReader(memory)
            var numbers: [Int] = []
            while let field = try reader.next() {
                numbers.append(field.number)
                try reader.skip(field.type)
            }
            return numbers
        }
    }

    @Test("fields of all four kinds are walked")
    func allKinds() throws {
        let bytes: [UInt8] = [0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, 9, 9, 0x25, 1, 2, 3, 4]
        #expect(try walk(bytes) == [1, 2, 3, 4])
    }

    @Test(
        "malformed bytes are refused with the reason",
        arguments: [
            ([0x08], WireError.truncated),
            ([0x08, 0x80], .truncated),
            ([0x08] + [UInt8](repeating: 0xff, count: 9) + [0x02], .varintTooLong),
            ([0x08] + [UInt8](repeating: 0x80, count: 10) + [0x01], .varintTooLong),
            ([0x12, 0x05, 1, 2], .truncated),
            ([0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1], .truncated),
            ([0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1], .truncated),
            ([0x11, 1, 2, 3], .truncated),
            ([0x15, 1, 2, 3], .truncated),
            ([0x00, 0x01], .fieldNumber),
            ([0x80, 0x80, 0x80, 0x80, 0x10, 0x01], .fieldNumber),
            ([0x0b, 0x0c], .wireType),
            ([0x0c], .wireType),
            ([0x0e], .wireType),
            ([0x0f], .wireType),
        ] as [([UInt8], WireError)])
    func malformed(bytes: [UInt8], error: WireError) {
        #expect(throws: error) { _ = try walk(bytes) }
    }

    @Test("a varint of ten bytes holds all 64 bits")
    func longestVarint() throws {
        let bytes = [UInt8](repeating: 0xff, count: 9) + [0x01]
        let value = try bytes.withUnsafeBytes { memory in
            var reader = WireReader(memory)
            return try reader.varint()
        }
        #expect(value == .max)
    }

    @Test("a string that is not UTF-8 is refused with its field")
    func invalidString() {
        let bytes: [UInt8] = [0x02, 0xc3, 0x28]
        #expect(throws: WireError.notUTF8(field: 7)) {
            try bytes.withUnsafeBytes { memory in
                var reader = WireReader(memory)
                _ = try reader.string(field: 7)
            }
        }
    }

    @Test("an empty buffer without an address is an empty message")
    func emptyBuffer() throws {
        var reader = WireReader(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(try reader.next() == nil)
        #expect(throws: WireError.truncated) { _ = try reader.varint() }
        #expect(throws: WireError.truncated) { _ = try reader.fixed32() }
    }

    @Test("packed and unpacked numbers are read alike")
    func packed() throws {
        let packed: [UInt8] = [0x0a, 3, 1, 0xac, 0x02, 0x08, 7]
        let values = try packed.withUnsafeBytes { memory in
            var reader = WireReader(memory)
            var values: [UInt32] = []
            while let field = try reader.next() { try reader.uint32s(field.type, into: &values) }
            return values
        }
        #expect(values == [1, 300, 7])
    }

    @Test("random bytes never trap")
    func randomBytes() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = try? walk(bytes)
        }
    }
}
