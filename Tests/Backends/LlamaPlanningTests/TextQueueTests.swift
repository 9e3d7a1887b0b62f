import LlamaPlanning
import Testing

@Suite("TextQueue")
struct TextQueueTests {
    private func add(_ queue: inout TextQueue<Int>, _ owner: Int, _ bytes: Int) -> Bool {
        queue.append(owner, bytes: bytes)
    }

    @Test("the shortest and the one that waits longest come by turns")
    func turns() {
        var queue = TextQueue<Int>()
        for (owner, bytes) in [(0, 900), (1, 50), (2, 700), (3, 20), (4, 60)] {
            #expect(add(&queue, owner, bytes))
        }
        var order: [Int] = []
        while let next = queue.next() { order.append(next) }
        #expect(order == [3, 0, 1, 2, 4])
        #expect(queue.isEmpty)
    }

    @Test("beyond its bytes it takes no more, until some have left")
    func bounded() {
        var queue = TextQueue<Int>()
        #expect(add(&queue, 0, TextQueue<Int>.bytesMax))
        #expect(!add(&queue, 1, 1))
        queue.remove(0)
        queue.remove(9)
        #expect(add(&queue, 1, 1))
        let next = queue.next()
        #expect(next == 1)
    }
}
