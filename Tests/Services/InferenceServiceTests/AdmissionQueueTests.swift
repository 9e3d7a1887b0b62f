import Testing

@testable import InferenceService

struct AdmissionQueueTests {
    private final class Waiter {}

    @Test func `whoever came first is first, until the queue is full`() {
        var queue = AdmissionQueue<Waiter>(capacity: 2)
        let (a, b, c) = (Waiter(), Waiter(), Waiter())
        let admissions = [a, b, c].map { queue.append($0) }
        #expect(admissions == [.queued(position: 0), .queued(position: 1), .full])
        #expect(queue.first === a)
        let removed = queue.remove(a)
        #expect(removed)
        #expect(queue.first === b)
        let again = queue.append(c)
        #expect(again == .queued(position: 1))
    }

    @Test func `one that gives up leaves the others in their order`() {
        var queue = AdmissionQueue<Waiter>(capacity: 3)
        let (a, b, c) = (Waiter(), Waiter(), Waiter())
        for waiter in [a, b, c] { _ = queue.append(waiter) }
        let removals = [queue.remove(b), queue.remove(b)]
        #expect(removals == [true, false])
        #expect(queue.waiting.map(ObjectIdentifier.init) == [a, c].map(ObjectIdentifier.init))
    }
}
