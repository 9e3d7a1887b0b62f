import Testing

@testable import GRPC

struct MessageReaderTests {
    private static func framed(_ messages: [[UInt8]]) -> [UInt8] {
        messages.flatMap { message in
            let count = UInt32(message.count)
            return [0, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
                + message
        }
    }

    private static func read(_ chunks: [[UInt8]], limit: Int = 1_000) throws -> (messages: [[UInt8]], held: Int) {
        var reader = MessageReader(messageBytesMax: limit)
        var messages: [[UInt8]] = []
        for chunk in chunks {
            try chunk.withUnsafeBytes { bytes in
                reader.begin(bytes)
                while let message = try reader.next() { messages.append(Array(message)) }
                reader.end()
            }
        }
        return (messages, reader.heldBytes)
    }

    @Test("Messages are the same however their bytes are cut")
    func cuts() throws {
        let messages: [[UInt8]] = [[1, 2, 3], [], [4], Array(repeating: 5, count: 300), [], [6]]
        let bytes = Self.framed(messages)
        for size in [1, 2, 3, 4, 5, 6, 7, 11, 64, 299, 1_000] {
            let chunks = stride(from: 0, to: bytes.count, by: size).map {
                Array(bytes[$0..<min($0 + size, bytes.count)])
            }
            let found = try Self.read(chunks)
            #expect(found.messages == messages, "in pieces of \(size)")
            #expect(found.held == 0)
        }
    }

    @Test("An incomplete message is kept and not handed out")
    func incomplete() throws {
        #expect(try Self.read([[0, 0, 0]]).held == 3)
        #expect(try Self.read([[0, 0, 0, 0, 2, 9]]).held == 6)
    }

    /// Takes at most so many messages.
    private static func take(_ count: Int, from reader: inout MessageReader) throws -> [[UInt8]] {
        var messages: [[UInt8]] = []
        while messages.count < count, let message = try reader.next() { messages.append(Array(message)) }
        reader.end()
        return messages
    }

    @Test("What was not asked for before the end is there afterwards")
    func paused() throws {
        var reader = MessageReader(messageBytesMax: 100)
        let first = Self.framed([[1], [2], [3]])
        let taken = try first.withUnsafeBytes { bytes in
            reader.begin(bytes)
            return try Self.take(1, from: &reader)
        }
        #expect(taken == [[1]])
        let held = reader.heldBytes
        #expect(held == 12)
        let second = try Self.take(1, from: &reader)
        #expect(second == [[2]])
        let last = try Self.framed([[4]]).withUnsafeBytes { bytes in
            reader.begin(bytes)
            return try Self.take(9, from: &reader)
        }
        #expect(last == [[3], [4]])
        let rest = reader.heldBytes
        #expect(rest == 0)
    }

    @Test("A length above the limit is refused with both sizes before its bytes come")
    func tooLong() {
        let refusal = #expect(throws: Status.self) { try Self.read([[0, 0, 0, 3, 233]]) }
        #expect(refusal?.message == "a message has 1001 bytes; at most 1000 are accepted (messageBytesMax)")
        #expect(refusal?.limit == "messageBytesMax")
        #expect(throws: Status.self) { try Self.read([[0, 255, 255, 255, 255]]) }
    }

    @Test("A compressed message and an unknown flag are refused", arguments: [1, 2, 255] as [UInt8])
    func flags(_ flag: UInt8) {
        #expect(throws: Status.self) { try Self.read([[flag, 0, 0, 0, 0]]) }
    }
}
