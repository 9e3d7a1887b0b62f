import EventLoop
import Testing

@testable import GRPC

@IOLoop
struct MessageQueueTests {
    private let queue = MessageQueue<Int>(limits: Limits())
    private static let long: UInt64 = 1_000_000_000

    @Test("a reader that looks for the next message learns that it, or the end, is there already")
    func ready() async throws {
        queue.push(7, byteCount: 1, isCompressed: false)
        #expect(await queue.hasNext(withinMilliseconds: 0))
        #expect(try await queue.next() == 7)
        #expect(await !queue.hasNext(withinMilliseconds: 0))
        queue.finish(.ok)
        #expect(await queue.hasNext(withinMilliseconds: 0))
        #expect(try await queue.next() == nil)
    }

    @Test("it learns of what comes while it waits, and reads it then")
    func comes() async throws {
        async let found = queue.hasNext(withinMilliseconds: Self.long)
        IOLoop.schedule(afterMilliseconds: 1) { queue.push(8, byteCount: 1, isCompressed: false) }
        #expect(await found)
        #expect(try await queue.next() == 8)
        async let foundEnd = queue.hasNext(withinMilliseconds: Self.long)
        IOLoop.schedule(afterMilliseconds: 1) { queue.finish(Status(.unavailable)) }
        #expect(await foundEnd)
        await #expect(throws: Status.self) { try await queue.next() }
    }

    @Test("one that is cancelled while it looks goes on, and reading tells it")
    func cancelled() async {
        let reader = Task { @IOLoop in
            #expect(await queue.hasNext(withinMilliseconds: Self.long))
            await #expect(throws: CancellationError.self) { try await queue.next() }
        }
        IOLoop.schedule(afterMilliseconds: 1) { reader.cancel() }
        await reader.value
    }
}
