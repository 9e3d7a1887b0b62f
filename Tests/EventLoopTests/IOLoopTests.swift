import EventLoop
import LinuxSystem
import Testing

struct IOLoopTests {
    /// Hands readiness on to a closure.
    @IOLoop
    private final class Recorder: ReadinessHandler, TurnEndHandler {
        var events: [Readiness] = []
        var turnEnds = 0
        private let onEvent: @IOLoop (Recorder) -> Void

        init(onEvent: @escaping @IOLoop (Recorder) -> Void) { self.onEvent = onEvent }

        func ready(_ readiness: Readiness) {
            events.append(readiness)
            onEvent(self)
        }

        func turnEnded() {
            turnEnds += 1
            onEvent(self)
        }
    }

    @Test func `what is isolated to the loop runs on its one thread`() async {
        let isCurrent = await Task { @IOLoop in IOLoop.shared.executor.isCurrent }.value
        #expect(isCurrent)
        #expect(!IOLoop.shared.executor.isCurrent)
    }

    @Test func `timers fire in the order of their moments, and a cancelled one does not`() async {
        let fired = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                var fired: [Int] = []
                IOLoop.schedule(afterMilliseconds: 30) {
                    fired.append(30)
                    continuation.resume(returning: fired)
                }
                IOLoop.schedule(afterMilliseconds: 10) { fired.append(10) }
                IOLoop.schedule(afterMilliseconds: 15) { fired.append(15) }.cancel()
                IOLoop.schedule(afterMilliseconds: 20) { fired.append(20) }
            }
        }
        #expect(fired == [10, 20, 30])
    }

    @Test func `of a thousand cancelled timers none fires and the others do`() async {
        let fired = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                var fired = 0
                for round in 0..<1000 {
                    let timer = IOLoop.schedule(afterMilliseconds: UInt64(round % 7 + 1)) { fired += 1 }
                    if round % 10 != 0 { timer.cancel() }
                }
                IOLoop.schedule(afterMilliseconds: 20) { continuation.resume(returning: fired) }
            }
        }
        #expect(fired == 100)
    }

    @Test func `a descriptor is reported when it becomes readable, and not after unwatch`() async throws {
        let pair = try Descriptor.socketPair()
        let ends = pair.take { (first, second) in (first.release(), second.release()) }
        let events: [Readiness] = try await withCheckedThrowingContinuation { continuation in
            Task { @IOLoop in
                do {
                    let mine = Descriptor(owning: ends.0)
                    let other = Descriptor(owning: ends.1)
                    var watch: Watch?
                    let recorder = Recorder { recorder in
                        watch?.unwatch()
                        continuation.resume(returning: recorder.events)
                    }
                    watch = try IOLoop.watch(mine, .readable, handler: recorder)
                    try [UInt8](repeating: 7, count: 3).withUnsafeBytes { (bytes) throws(LinuxError) in
                        try other.writeAll(bytes)
                    }
                    // The descriptors live until the event came.
                    IOLoop.schedule(afterMilliseconds: 200) { [mine = mine.release(), other = other.release()] in
                        _ = Descriptor(owning: mine)
                        _ = Descriptor(owning: other)
                    }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
        #expect(events == [.readable])
    }

    @Test func `the end of a turn comes after all its jobs, once for each who asked`() async {
        let turnEnds = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                let recorder = Recorder { continuation.resume(returning: $0.turnEnds) }
                IOLoop.atTurnEnd(recorder)
            }
        }
        #expect(turnEnds == 1)
    }
}
