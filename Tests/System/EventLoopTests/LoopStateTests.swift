import LinuxSystem
import Testing

@testable import EventLoop

struct LoopStateTests {
    @IOLoop
    private final class Handler: ReadinessHandler {
        func ready(_ readiness: Readiness) {}
    }

    @IOLoop
    private final class Work: UnfinishedWork {
        func goOn(steps: Int) -> Int { 0 }
    }

    private static func moment(_ number: Int) -> Monotonic { Monotonic(nanoseconds: UInt64(number) * 1_000_000) }

    @Test @IOLoop func `a place's next owner does not hear what was meant for the one before`() {
        var state = LoopState(LoopLimits())
        let (first, second) = (Handler(), Handler())
        let old = state.insert(first)
        #expect(state.handler(tag: old) === first)
        state.remove(tag: old)
        let new = state.insert(second)
        #expect(state.handler(tag: old) == nil)
        #expect(state.handler(tag: new) === second)
        // Nor does its removal undo the other.
        state.remove(tag: old)
        #expect(state.handler(tag: new) === second)
    }

    @Test @IOLoop func `timers are due in the order of their moments, whatever the order they were set in`() {
        var state = LoopState(LoopLimits())
        var fired: [Int] = []
        for number in [5, 3, 9, 1, 7, 3, 8, 2] {
            _ = state.addTimer(at: Self.moment(number)) { fired.append(number) }
        }
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 1)
        while let action = state.takeDueTimer(at: Self.moment(7)) { action() }
        #expect(fired == [1, 2, 3, 3, 5, 7])
        #expect(state.timeoutMilliseconds(at: Self.moment(7)) == 1)
        while let action = state.takeDueTimer(at: Self.moment(9)) { action() }
        #expect(fired == [1, 2, 3, 3, 5, 7, 8, 9])
        #expect(!state.hasTimers)
        #expect(state.timeoutMilliseconds(at: Self.moment(9)) == -1)
    }

    @Test @IOLoop func `a timer that the loop has waited for is waited for no more once it is cancelled`() {
        var state = LoopState(LoopLimits())
        let first = state.addTimer(at: Self.moment(1)) {}
        let second = state.addTimer(at: Self.moment(5)) {}
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 1)
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 1)
        state.cancel(first)
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 5)
        _ = state.addTimer(at: Self.moment(3)) {}
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 3)
        #expect(state.takeDueTimer(at: Self.moment(3)) != nil)
        state.cancel(second)
        #expect(state.timeoutMilliseconds(at: Self.moment(3)) == -1)
    }

    @Test @IOLoop func `a cancelled timer is neither due nor waited for, and its action is let go`() {
        var state = LoopState(LoopLimits())
        weak var kept: Handler?
        let timer: Timer
        do {
            let handler = Handler()
            kept = handler
            timer = state.addTimer(at: Self.moment(1)) { _ = handler }
        }
        _ = state.addTimer(at: Self.moment(5)) {}
        state.cancel(timer)
        #expect(kept == nil)
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 5)
        #expect(state.takeDueTimer(at: Self.moment(4)) == nil)
        // Twice, and after it would have fired.
        state.cancel(timer)
        #expect(state.takeDueTimer(at: Self.moment(5)) != nil)
        #expect(state.takeDueTimer(at: Self.moment(5)) == nil)
    }

    @Test @IOLoop func `of many timers that were set and cancelled the others are due, each at its moment`() {
        var state = LoopState(LoopLimits())
        var fired: [Int] = []
        var kept: [Int] = []
        // Hours away and cancelled at once, as deadlines are; among them some that stay, set in no order.
        for index in 0..<2_000 {
            let number = (index * 7_919) % 2_003
            let timer = state.addTimer(at: Self.moment(number)) { fired.append(number) }
            if index % 20 == 0 { kept.append(number) } else { state.cancel(timer) }
        }
        kept.sort()
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == kept[0])
        for moment in [500, 1_000, 3_000] {
            while let action = state.takeDueTimer(at: Self.moment(moment)) { action() }
            #expect(fired == kept.filter { $0 <= moment })
        }
        #expect(state.timeoutMilliseconds(at: Self.moment(3_000)) == -1)
    }

    @Test @IOLoop func `a timer that a timer sets is due in its own time`() {
        var state = LoopState(LoopLimits())
        var fired: [String] = []
        _ = state.addTimer(at: Self.moment(1)) { fired.append("first") }
        _ = state.addTimer(at: Self.moment(4)) { fired.append("last") }
        state.takeDueTimer(at: Self.moment(2))?()
        _ = state.addTimer(at: Self.moment(3)) { fired.append("set") }
        let overdue = state.addTimer(at: Self.moment(1)) { fired.append("overdue") }
        #expect(state.timeoutMilliseconds(at: Self.moment(2)) == 0)
        state.takeDueTimer(at: Self.moment(2))?()
        // The timer has fired: cancelling it now must not cancel the one that took its place.
        state.cancel(overdue)
        #expect(state.takeDueTimer(at: Self.moment(2)) == nil)
        while let action = state.takeDueTimer(at: Self.moment(9)) { action() }
        #expect(fired == ["first", "overdue", "set", "last"])
    }

    @Test @IOLoop func `an hour is the longest that is waited at once`() {
        var state = LoopState(LoopLimits())
        _ = state.addTimer(at: Monotonic(nanoseconds: .max)) {}
        #expect(state.timeoutMilliseconds(at: Self.moment(0)) == 3_600_000)
    }

    @Test @IOLoop func `places are used again, the last that was freed first, and each has one owner`() {
        var state = LoopState(LoopLimits())
        let handlers = (0..<8).map { _ in Handler() }
        var tags = handlers.map { state.insert($0) }
        #expect(Set(tags).count == 8)
        for index in [2, 5] { state.remove(tag: tags[index]) }
        for index in [2, 5] { tags[index] = state.insert(handlers[index]) }
        #expect(Set(tags.map { $0 & 0xffff_ffff }).count == 8)
        for (tag, handler) in zip(tags, handlers) { #expect(state.handler(tag: tag) === handler) }
        // Removed twice it is free once.
        state.remove(tag: tags[0])
        state.remove(tag: tags[0])
        #expect(state.insert(Handler()) & 0xffff_ffff != state.insert(Handler()) & 0xffff_ffff)
    }

    @Test @IOLoop func `an overdue timer is not waited for, and a part of a millisecond is a whole one`() {
        var state = LoopState(LoopLimits())
        _ = state.addTimer(at: Monotonic(nanoseconds: 1_000_001)) {}
        #expect(state.timeoutMilliseconds(at: Monotonic(nanoseconds: 0)) == 2)
        #expect(state.timeoutMilliseconds(at: Monotonic(nanoseconds: 1_000_000)) == 1)
        #expect(state.timeoutMilliseconds(at: Monotonic(nanoseconds: 2_000_000)) == 0)
    }

    @Test @IOLoop func `whatever is put off keeps the loop awake`() {
        var state = LoopState(LoopLimits())
        #expect(!state.isBusy)
        state.backlog.append(Work(), of: 1)
        #expect(state.isBusy)
        state.backlog.beginTurn()
        _ = state.backlog.next()
        #expect(!state.isBusy)
        state.firstBacklog.append(Work(), of: 1)
        #expect(state.isBusy)
    }
}
