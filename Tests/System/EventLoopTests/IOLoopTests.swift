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

    /// Goes on until it has used so many steps, and calls back.
    @IOLoop
    private final class LongWork: UnfinishedWork {
        private(set) var goes = 0
        private var left: Int
        private let onEnd: @IOLoop (LongWork) -> Void

        init(steps: Int, onEnd: @escaping @IOLoop (LongWork) -> Void) {
            left = steps
            self.onEnd = onEnd
        }

        func goOn(steps: Int) -> Int {
            goes += 1
            let used = min(steps, left)
            left -= used
            if left > 0 { IOLoop.goOnLater(self) } else { onEnd(self) }
            return used
        }
    }

    /// Always has more to do, until it is told that all is over.
    @IOLoop
    private final class EndlessWork: UnfinishedWork {
        private let isOver: @IOLoop () -> Bool

        init(until isOver: @escaping @IOLoop () -> Bool) { self.isOver = isOver }

        func goOn(steps: Int) -> Int {
            if !isOver() { IOLoop.goOnLater(self) }
            return steps
        }
    }

    @Test func `work that is put off goes on turn by turn until it ends, with nothing else to wake the loop`() async {
        let goes = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                let steps = 10 * IOLoop.limits.unfinishedStepsPerTurnMax
                IOLoop.goOnLater(LongWork(steps: steps) { continuation.resume(returning: $0.goes) })
            }
        }
        #expect(goes == 10)
    }

    @Test func `a descriptor is served beside work without end, and so is a timer`() async throws {
        let isServed: Bool = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                let pair = try Descriptor.socketPair().take { ($0.release(), $1.release()) }
                let (mine, other) = (pair.0, pair.1)
                var hasFired = false
                var isOver = false
                IOLoop.goOnLater(EndlessWork { isOver })
                IOLoop.schedule(afterMilliseconds: 1) {
                    hasFired = true
                    var byte: UInt8 = 7
                    #expect(write(other, &byte, 1) == 1)
                }
                var watch: Watch?
                let recorder = Recorder { _ in
                    watch?.unwatch()
                    isOver = true
                    close(mine)
                    close(other)
                    continuation.resume(returning: hasFired)
                }
                let borrowed = Descriptor(owning: mine)
                watch = try IOLoop.watch(borrowed, .readable, handler: recorder)
                _ = borrowed.release()
            }
        }
        #expect(isServed)
    }

    /// Descriptors that are ready at the same time, and the order in which they were served.
    @IOLoop
    private final class Row {
        var descriptors: [CInt] = []
        var watches: [Watch] = []
        var order: [Int] = []
    }

    @Test func `who is to be served first is, though others have been ready for longer`() async throws {
        let order: [Int] = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                // More than one turn serves, and the first one last.
                let count = 2 * IOLoop.limits.eventsPerTurnMax
                let row = Row()
                for number in 0...count {
                    let pair = try Descriptor.socketPair().take { ($0.release(), $1.release()) }
                    row.descriptors += [pair.0, pair.1]
                    let mine = Descriptor(owning: pair.0)
                    let recorder = Recorder { _ in
                        row.watches[number].unwatch()
                        row.order.append(number)
                        guard row.order.count > count else { return }
                        for descriptor in row.descriptors { close(descriptor) }
                        continuation.resume(returning: row.order)
                    }
                    row.watches.append(
                        try IOLoop.watch(mine, .readable, number == count ? .first : .usual, handler: recorder))
                    _ = mine.release()
                    var byte: UInt8 = 7
                    #expect(write(pair.1, &byte, 1) == 1)
                }
            }
        }
        #expect(order.first == order.max())
        #expect(order.count == 2 * IOLoop.limits.eventsPerTurnMax + 1)
        #expect(Set(order).count == order.count)
    }

    @Test func `thousands of due timers and of jobs do not keep a descriptor from being served`() async throws {
        let (fired, ran): (Int, Int) = await withCheckedContinuation { continuation in
            Task { @IOLoop in
                let pair = try Descriptor.socketPair().take { ($0.release(), $1.release()) }
                let mine = Descriptor(owning: pair.0)
                var (fired, ran) = (0, 0)
                for _ in 0..<10_000 {
                    IOLoop.schedule(afterMilliseconds: 0) { fired += 1 }
                    Task { @IOLoop in ran += 1 }
                }
                var watch: Watch?
                let recorder = Recorder { _ in
                    watch?.unwatch()
                    close(pair.0)
                    close(pair.1)
                    continuation.resume(returning: (fired, ran))
                }
                watch = try IOLoop.watch(mine, .readable, handler: recorder)
                _ = mine.release()
                var byte: UInt8 = 7
                #expect(write(pair.1, &byte, 1) == 1)
            }
        }
        #expect(fired <= 2 * IOLoop.limits.timersPerTurnMax)
        #expect(ran <= 2 * IOLoop.limits.jobsPerTurnMax)
    }
}
