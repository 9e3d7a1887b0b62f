import Testing

@testable import InferenceService

struct AdmissionQueueTests {
    private final class Waiter {}

    @Test func `whoever came first is first, until the queue is full`() {
        var queue = AdmissionQueue<Waiter>(capacity: 2)
        let (a, b, c) = (Waiter(), Waiter(), Waiter())
        #expect(queue.append(a) == .queued(position: 0))
        #expect(queue.append(b) == .queued(position: 1))
        #expect(queue.append(c) == .full)
        #expect(queue.first === a)
        queue.removeFirst()
        #expect(queue.first === b)
        #expect(queue.append(c) == .queued(position: 1))
    }

    @Test func `one that gives up leaves the others in their order`() {
        var queue = AdmissionQueue<Waiter>(capacity: 3)
        let (a, b, c) = (Waiter(), Waiter(), Waiter())
        for waiter in [a, b, c] { _ = queue.append(waiter) }
        #expect(queue.remove(b))
        #expect(!queue.remove(b))
        #expect(queue.waiting.map(ObjectIdentifier.init) == [a, c].map(ObjectIdentifier.init))
    }
}
