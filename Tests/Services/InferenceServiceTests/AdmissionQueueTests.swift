import LinuxSystem
import Testing

@testable import InferenceService

struct AdmissionQueueTests {
    private final class Turn {}

    private typealias Queue = AdmissionQueue<Turn>

    private func queue(_ queuedRequestsMax: Int = 3) -> Queue {
        var limits = InferenceLimits()
        limits.queuedRequestsMax = queuedRequestsMax
        limits.unreadMilliseconds = 1_000
        return AdmissionQueue(limits)
    }

    private func turns(_ count: Int) -> [Turn] { (0..<count).map { _ in Turn() } }

    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    /// `#expect` cannot call what mutates.
    private func expect(
        _ condition: Bool, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(condition, comment, sourceLocation: location)
    }

    private func same(_ some: [Turn], _ others: [Turn]) -> Bool {
        some.map(ObjectIdentifier.init) == others.map(ObjectIdentifier.init)
    }

    /// Of turns that do not wait.
    private func run(_ turns: [Turn], in queue: inout Queue) {
        for turn in turns { queue.began(turn, isOver: false) }
    }

    @Test func `whoever came first is first, until the queue is full`() throws {
        var queue = queue(2)
        let waiting = turns(3)
        #expect(try queue.admit(.serves), "nobody waits before it")
        let positions = [try queue.wait(waiting[0]), try queue.wait(waiting[1])]
        #expect(positions == [0, 1])
        #expect(try !queue.admit(.serves), "others wait before it")
        #expect(throws: Queue.Refusal.full(waiting: 2)) { _ = try queue.wait(waiting[2]) }
        #expect(queue.next === waiting[0])

        queue.began(waiting[0], isOver: false)
        #expect(queue.next === waiting[1])
        #expect(queue.running.count == 1)
        let position = try queue.wait(waiting[2])
        #expect(position == 1)
    }

    @Test func `of a queue of none, who finds no sequence is refused`() {
        var queue = queue(0)
        #expect(throws: Queue.Refusal.full(waiting: 0)) { _ = try queue.wait(Turn()) }
    }

    @Test func `a model that does not serve admits nobody`() {
        let queue = queue()
        #expect(throws: Queue.Refusal.unavailable) { _ = try queue.admit(.unavailable) }
        #expect(throws: Queue.Refusal.unknown) { _ = try queue.admit(.unknown) }
    }

    @Test func `one that gives up leaves the others in their order, and they have moved up`() throws {
        var queue = queue()
        let waiting = turns(3)
        for turn in waiting { _ = try queue.wait(turn) }
        let forgotten = [queue.forget(waiting[1]), queue.forget(waiting[1])]
        #expect(forgotten == [true, false])
        #expect(same(queue.waiting, [waiting[0], waiting[2]]))
    }

    @Test func `one that is over by beginning neither waits nor runs`() throws {
        var queue = queue()
        let turn = Turn()
        _ = try queue.wait(turn)
        // Its end is told before its beginning is.
        _ = queue.forget(turn)
        queue.began(turn, isOver: true)
        #expect(queue.waiting.isEmpty)
        #expect(queue.running.isEmpty)
    }

    @Test func `one that ran and ended makes nobody move up`() throws {
        var queue = queue()
        let (ran, waits) = (Turn(), Turn())
        queue.began(ran, isOver: false)
        _ = try queue.wait(waits)
        let hasMoved = queue.forget(ran)
        #expect(!hasMoved)
        #expect(queue.running.isEmpty)
        #expect(same(queue.waiting, [waits]))
    }

    @Test func `those who wait for a model that vanishes are told once, and when it is back others can wait`() throws {
        var queue = queue()
        let (ran, waiting) = (Turn(), turns(2))
        queue.began(ran, isOver: false)
        for turn in waiting { _ = try queue.wait(turn) }
        expect(queue.dismiss(.serves) == nil)
        let dismissed = queue.dismiss(.unknown)
        #expect(same(dismissed?.turns ?? [], waiting))
        #expect(dismissed?.refusal == .unknown)
        expect(queue.dismiss(.unknown) == nil)
        // Each ends then, and is forgotten.
        for turn in waiting { expect(!queue.forget(turn)) }
        #expect(queue.running.count == 1, "what runs may go on")

        #expect(try queue.admit(.serves))
        _ = try queue.wait(waiting[0])
        expect(queue.dismiss(.unavailable)?.refusal == .unavailable)
    }

    @Test func `positions are announced some time after the first change, to those who wait then`() throws {
        var queue = queue()
        let waiting = turns(3)
        expect(!queue.moved(), "nobody is there to hear it")
        for turn in waiting { _ = try queue.wait(turn) }
        expect(queue.moved())
        _ = queue.forget(waiting[0])
        expect(!queue.moved(), "it is due already")
        let announced = queue.announce()
        #expect(announced.map(\.position) == [0, 1])
        expect(same(announced.map(\.turn), [waiting[1], waiting[2]]))
        expect(queue.moved())
        _ = queue.dismiss(.unknown)
        expect(queue.announce().isEmpty)
    }

    @Test func `one that wants another sequence is before all that wait, and counts among them`() throws {
        var queue = queue()
        let begun = Turn()
        let waiting = turns(2)
        queue.began(begun, isOver: false, wantsMore: true)
        #expect(queue.next === begun)
        #expect(queue.waitingCount == 1)
        #expect(try !queue.admit(.serves), "the next sequence is not for another")
        let positions = [try queue.wait(waiting[0]), try queue.wait(waiting[1])]
        #expect(positions == [1, 2])
        expect(queue.moved())
        #expect(queue.announce().map(\.position) == [1, 2])

        queue.began(begun, isOver: false)
        #expect(queue.next === waiting[0])
        expect(queue.moved())
        #expect(queue.announce().map(\.position) == [0, 1])
        #expect(queue.running.count == 1)
    }

    @Test func `one that has begun, wants more and ends lets those behind it move up`() throws {
        var queue = queue()
        let begun = Turn()
        let behind = Turn()
        queue.began(begun, isOver: false, wantsMore: true)
        _ = try queue.wait(behind)
        expect(queue.forget(begun))
        #expect(queue.next === behind)
        #expect(queue.running.isEmpty)
        queue.began(behind, isOver: true, wantsMore: true)
        #expect(queue.next == nil)
    }

    @Test func `one that has begun and wants more hears too that its model is gone, and holds nobody to reading`()
        throws
    {
        var queue = queue()
        let begun = Turn()
        let behind = Turn()
        queue.began(begun, isOver: false, wantsMore: true)
        expect(!queue.watch(), "nobody else waits")
        _ = try queue.wait(behind)
        expect(queue.watch())
        let dismissed = queue.dismiss(.unavailable)
        expect(same(dismissed?.turns ?? [], [begun, behind]))
        #expect(queue.next == nil)
    }

    @Test func `turns that are not read end only while others wait, the stillest first, no more than wait`() throws {
        var queue = queue()
        let running = turns(4)
        let since = [at(500), at(100), nil, at(300)]
        func unread(at milliseconds: UInt64) -> (asked: [Turn], ended: [Turn]) {
            queue.unread(at: at(milliseconds)) { turn in
                running.firstIndex { $0 === turn }.flatMap { since[$0] }
            }
        }
        run(running, in: &queue)
        expect(!queue.watch(), "nobody waits")
        expect(unread(at: 9_000).ended.isEmpty)

        _ = try queue.wait(Turn())
        expect(queue.watch())
        expect(!queue.watch(), "once")
        expect(unread(at: 599).asked.isEmpty)
        expect(same(unread(at: 850).asked, [running[1], running[3]]), "halfway")
        expect(unread(at: 1_099).ended.isEmpty)
        expect(same(unread(at: 1_100).ended, [running[1]]))
        expect(same(unread(at: 9_000).ended, [running[1]]), "one waits")
        _ = try queue.wait(Turn())
        expect(same(unread(at: 9_000).ended, [running[1], running[3]]))
        expect(same(unread(at: 9_000).asked, [running[1], running[3], running[0]]))
        expect(queue.watch(), "again, after it was looked")
    }
}
