import HTTP2Connection
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
