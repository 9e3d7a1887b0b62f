import Testing

@testable import EventLoop

struct QueueTests {
    @Test func `what came first leaves first, however the two alternate`() {
        var queue = Queue<Int>()
        var left: [Int] = []
        for number in 0..<10_000 {
            queue.append(number)
            if number % 3 == 0, let first = queue.popFirst() { left.append(first) }
        }
        #expect(queue.count == 10_000 - left.count)
        while let first = queue.popFirst() { left.append(first) }
        #expect(left == Array(0..<10_000))
        #expect(queue.isEmpty)
        #expect(queue.popFirst() == nil)
    }

    @Test func `what has left is not kept alive`() {
        final class Thing {}
        var queue = Queue<Thing>()
        weak var gone: Thing?
        do {
            let thing = Thing()
            gone = thing
            queue.append(thing)
            queue.append(Thing())
        }
        _ = queue.popFirst()
        #expect(gone == nil)
        #expect(queue.count == 1)
    }
}
