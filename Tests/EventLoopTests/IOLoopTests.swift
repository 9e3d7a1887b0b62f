import EventLoop
import Glibc
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
        let events: [Readiness] = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                let (mine, other) = try Descriptor.socketPair().take { ($0.release(), $1.release()) }
                var watch: Watch?
                let recorder = Recorder { recorder in
                    watch?.unwatch()
                    IOLoop.schedule(afterMilliseconds: 5) {
                        close(mine)
                        close(other)
                        continuation.resume(returning: recorder.events)
                    }
                }
                let borrowed = Descriptor(owning: mine)
                watch = try IOLoop.watch(borrowed, .readable, handler: recorder)
                _ = borrowed.release()
                var byte: UInt8 = 7
                #expect(write(other, &byte, 1) == 1)
            }
        }
        #expect(events == [.readable])
    }

    @Test func `whoever asks for the end of a turn is told once`() async {
        let turnEnds = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                let recorder = Recorder { continuation.resume(returning: $0.turnEnds) }
                IOLoop.atTurnEnd(recorder)
            }
        }
        #expect(turnEnds == 1)
    }
}
