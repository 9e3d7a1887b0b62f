import ByteBuffer
import SeededRandom
import Testing

struct ByteQueueTests {
    @Test("Bytes come out as they went in, whatever the sizes")
    func order() {
        var queue = ByteQueue()
        var generator = SystemRandomNumberGenerator()
        var written: [UInt8] = []
        var read: [UInt8] = []
        for _ in 0..<2_000 {
            let adding = Int.random(in: 0...300, using: &generator)
            queue.append(byteCount: adding) { buffer in
                for index in buffer.indices {
                    buffer[index] = UInt8(truncatingIfNeeded: written.count)
                    written.append(buffer[index])
                }
            }
            let removing = Int.random(in: 0...queue.count, using: &generator)
            read += queue.bytes.prefix(removing)
            queue.removeFirst(removing)
        }
        read += queue.bytes
        #expect(read == written)
    }

    @Test("Bytes that are copied in come out in the order in which they came")
    func copied() {
        var queue = ByteQueue(idleBytesMax: 16)
        var random = SeededRandom(seed: 2)
        var expected: [UInt8] = []
        var received: [UInt8] = []
        var next: UInt8 = 0
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                next &+= 1
                return next
            }
            bytes.withUnsafeBytes { queue.append($0) }
            expected += bytes
            let taken = Int.random(in: 0...min(queue.count, 45), using: &random)
            received += queue.bytes.prefix(taken)
            queue.removeFirst(taken)
        }
        received += queue.bytes
        #expect(received == expected)
    }

    @Test("What is written into the room is held behind what came before, and the rest of the room is not")
    func room() {
        var queue = ByteQueue(idleBytesMax: 64)
        var random = SeededRandom(seed: 3)
        var written: [UInt8] = []
        var read: [UInt8] = []
        for _ in 0..<5_000 {
            let room = queue.room(for: Int.random(in: 0...100, using: &random))
            let filled = Int.random(in: 0...room.count, using: &random)
            for index in room.indices {
                room[index] = UInt8(truncatingIfNeeded: written.count)
                if index < filled { written.append(room[index]) }
            }
            queue.filled(filled)
            let removing = Int.random(in: 0...queue.count, using: &random)
            read += queue.bytes.prefix(removing)
            queue.removeFirst(removing)
        }
        read += queue.bytes
        #expect(read == written)
    }

    @Test("An empty queue takes and gives nothing")
    func empty() {
        var queue = ByteQueue()
        queue.append(byteCount: 0) { #expect($0.isEmpty) }
        queue.append(UnsafeRawBufferPointer(start: nil, count: 0))
        let isEmpty = queue.isEmpty
        #expect(isEmpty)
        let bytes = queue.bytes
        #expect(bytes.isEmpty)
        queue.removeFirst(0)
        queue.removeAll()
        let count = queue.count
        #expect(count == 0)
    }

    @Test("Large pieces keep their bytes")
    func large() {
        var queue = ByteQueue()
        let piece = [UInt8](repeating: 9, count: 1_000_000)
        for _ in 0..<3 { piece.withUnsafeBytes { queue.append($0) } }
        let bytes = queue.bytes
        #expect(bytes.count == 3_000_000)
        #expect(bytes.allSatisfy { $0 == 9 })
    }
}
