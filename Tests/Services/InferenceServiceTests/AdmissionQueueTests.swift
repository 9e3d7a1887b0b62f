import GRPC
import LinuxSystem
import Testing

@testable import InferenceService

struct AdmissionQueueTests {
    private final class Turn: QueuedRequest {
        let claim: QueueClaim

        init(of caller: UInt32 = 1, wantsPlace: Bool = true) {
            claim = QueueClaim(caller: .origin(.user(caller)), wantsPlace: wantsPlace)
        }
    }

    private typealias Queue = AdmissionQueue<Turn>

    private func queue(_ queuedRequestsMax: Int = 3) -> Queue {
        var limits = InferenceLimits()
        limits.queuedRequestsMax = queuedRequestsMax
        limits.unreadMilliseconds = 1_000
        return AdmissionQueue(limits)
    }

    private func turns(_ count: Int) -> [Turn] { (0..<count).map { _ in Turn() } }

    private func wait(_ turns: [Turn], in queue: inout Queue) throws {
        for turn in turns {
            let displaced = try queue.wait(turn)
            #expect(displaced == nil)
        }
    }

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
        for turn in turns { queue.began(turn, isOver: false, at: at(0)) }
    }

    @Test func `a turn that comes running from another agent takes no place from one that wants more`() throws {
        var queue = queue()
        let waiting = turns(2)
        let (first, passed) = (Turn(), Turn())
        try wait(waiting, in: &queue)
        queue.began(first, isOver: false, wantsMore: true, at: at(0))
        queue.goesOn(passed, at: at(0))
        #expect(queue.next === first && queue.running.count == 2)
        #expect(same(queue.waiting.inOrder, waiting))
        expect(!queue.forget(passed, at: at(1)))
        #expect(queue.next === first && queue.running.count == 1)
    }

    @Test func `whoever came first is first, until the queue is full`() throws {
        var queue = queue(2)
        let waiting = turns(3)
        #expect(try queue.admit(.serves), "nobody waits before it")
        try wait(Array(waiting[..<2]), in: &queue)
        #expect(queue.positions.map(\.position) == [0, 1])
        #expect(try !queue.admit(.serves), "others wait before it")
        #expect(throws: Queue.Refusal.full(waiting: 2, retryAfterMilliseconds: 1_000)) {
            _ = try queue.wait(waiting[2])
        }
        #expect(queue.next === waiting[0])

        queue.began(waiting[0], isOver: false, at: at(0))
        #expect(queue.next === waiting[1])
        #expect(queue.running.count == 1)
        try wait([waiting[2]], in: &queue)
        #expect(same(queue.positions.map(\.turn), [waiting[1], waiting[2]]))
    }

    @Test func `of a queue of none, who finds no sequence is refused`() {
        var queue = queue(0)
        #expect(throws: Queue.Refusal.full(waiting: 0, retryAfterMilliseconds: 1_000)) { _ = try queue.wait(Turn()) }
    }

    @Test func `those that find a full queue are told to come again one after the other, as places get free`() throws {
        var queue = queue(1)
        run(turns(2), in: &queue)
        let (first, waits) = (Turn(), Turn())
        queue.began(first, isOver: false, at: at(0))
        expect(!queue.forget(first, at: at(6_000)))
        try wait([waits], in: &queue)
        func retry() -> UInt64? {
            do throws(Queue.Refusal) {
                _ = try queue.wait(Turn())
                return nil
            } catch {
                if case .full(1, let milliseconds) = error { return milliseconds } else { return nil }
            }
        }
        let told = [retry(), retry(), retry()]
        #expect(told == [3_000, 6_000, 9_000], "two run, and each takes 6 s")
        queue.began(waits, isOver: false, at: at(6_000))
        try wait([Turn()], in: &queue)
        let then = retry()
        #expect(then == 2_000)
        #expect(queue.retryMilliseconds == 4_000)
        #expect(queue.waitMilliseconds(position: 3) == 8_000)
    }

    @Test func `in a full queue a caller with many gives a place to one with few`() throws {
        var queue = queue(3)
        let many = (0..<3).map { _ in Turn(of: 1) }
        try wait(many, in: &queue)
        let one = Turn(of: 2)
        let displaced = try queue.wait(one)
        #expect(displaced?.turn === many[2])
        #expect(displaced?.refusal == .full(waiting: 3, retryAfterMilliseconds: 1_000))
        #expect(queue.waitingCount == 3)
        #expect(throws: Queue.Refusal.self) { _ = try queue.wait(Turn(of: 2)) }
    }

    @Test func `a model that does not serve admits nobody`() {
        let queue = queue()
        #expect(throws: Queue.Refusal.unavailable) { _ = try queue.admit(.unavailable) }
        #expect(throws: Queue.Refusal.unknown) { _ = try queue.admit(.unknown) }
    }

    @Test func `one that gives up leaves the others in their order, and they have moved up`() throws {
        var queue = queue()
        let waiting = turns(3)
        try wait(waiting, in: &queue)
        let forgotten = [queue.forget(waiting[1], at: at(0)), queue.forget(waiting[1], at: at(0))]
        #expect(forgotten == [true, false])
        #expect(same(queue.waiting.inOrder, [waiting[0], waiting[2]]))
    }

    @Test func `one that is over by beginning neither waits nor runs`() throws {
        var queue = queue()
        let turn = Turn()
        try wait([turn], in: &queue)
        // Its end is told before its beginning is.
        _ = queue.forget(turn, at: at(0))
        queue.began(turn, isOver: true, at: at(0))
        #expect(queue.waiting.isEmpty)
        #expect(queue.running.isEmpty)
    }

    @Test func `one that ran and ended makes nobody move up`() throws {
        var queue = queue()
        let (ran, waits) = (Turn(), Turn())
        queue.began(ran, isOver: false, at: at(0))
        try wait([waits], in: &queue)
        let hasMoved = queue.forget(ran, at: at(0))
        #expect(!hasMoved)
        #expect(queue.running.isEmpty)
        #expect(same(queue.waiting.inOrder, [waits]))
    }

    @Test func `those who wait for a model that vanishes are told once, and when it is back others can wait`() throws {
        var queue = queue()
        let (ran, waiting) = (Turn(), turns(2))
        queue.began(ran, isOver: false, at: at(0))
        try wait(waiting, in: &queue)
        expect(same(queue.dismissAll(), waiting))
        expect(queue.dismissAll().isEmpty)
        // Each ends then, and is forgotten.
        for turn in waiting { expect(!queue.forget(turn, at: at(0))) }
        #expect(queue.running.count == 1, "what runs may go on")

        #expect(try queue.admit(.serves))
        try wait([waiting[0]], in: &queue)
        expect(same(queue.dismissAll(), [waiting[0]]))
    }

    @Test func `positions are announced at once and then seldom, to those who want to hear them`() throws {
        var queue = queue()
        let waiting = [Turn(), Turn(wantsPlace: false), Turn()]
        expect(!queue.moved(), "nobody is there to hear it")
        try wait([waiting[1]], in: &queue)
        expect(!queue.moved(), "nobody wants to")
        try wait([waiting[0], waiting[2]], in: &queue)
        expect(queue.moved())
        expect(!queue.mayAnnounce(), "nothing has changed since")
        expect(queue.moved())
        _ = queue.forget(waiting[1], at: at(0))
        expect(!queue.moved(), "they were told a moment ago")
        expect(queue.mayAnnounce(), "now it is told")
        expect(!queue.mayAnnounce(), "once")
        #expect(queue.positions.map(\.position) == [0, 1])
        expect(same(queue.positions.map(\.turn), [waiting[0], waiting[2]]))
        expect(queue.moved())
        _ = queue.dismissAll()
        expect(!queue.moved() && !queue.mayAnnounce())
        #expect(queue.positions.isEmpty)
    }

    @Test func `one that wants another sequence is before all that wait, and counts among them`() throws {
        var queue = queue()
        let begun = Turn()
        let waiting = turns(2)
        queue.began(begun, isOver: false, wantsMore: true, at: at(0))
        #expect(queue.next === begun)
        #expect(queue.waitingCount == 1)
        #expect(try !queue.admit(.serves), "the next sequence is not for another")
        try wait(waiting, in: &queue)
        #expect(queue.positions.map(\.position) == [1, 2])

        queue.began(begun, isOver: false, at: at(0))
        #expect(queue.next === waiting[0])
        #expect(queue.positions.map(\.position) == [0, 1])
        #expect(queue.running.count == 1)
    }

    @Test func `one that has begun, wants more and ends lets those behind it move up`() throws {
        var queue = queue()
        let begun = Turn()
        let behind = Turn()
        queue.began(begun, isOver: false, wantsMore: true, at: at(0))
        try wait([behind], in: &queue)
        expect(queue.forget(begun, at: at(0)))
        #expect(queue.next === behind)
        #expect(queue.running.isEmpty)
        queue.began(behind, isOver: true, wantsMore: true, at: at(0))
        #expect(queue.next == nil)
    }

    @Test func `one that has begun and wants more hears too that its model is gone, and holds nobody to reading`()
        throws
    {
        var queue = queue()
        let begun = Turn()
        let behind = Turn()
        queue.began(begun, isOver: false, wantsMore: true, at: at(0))
        expect(!queue.watch(), "nobody else waits")
        try wait([behind], in: &queue)
        expect(queue.watch())
        expect(same(queue.dismissAll(), [begun, behind]))
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

        try wait([Turn()], in: &queue)
        expect(queue.watch())
        expect(!queue.watch(), "once")
        expect(unread(at: 599).asked.isEmpty)
        expect(same(unread(at: 850).asked, [running[1], running[3]]), "halfway")
        expect(unread(at: 1_099).ended.isEmpty)
        expect(same(unread(at: 1_100).ended, [running[1]]))
        expect(same(unread(at: 9_000).ended, [running[1]]), "one waits")
        try wait([Turn()], in: &queue)
        expect(same(unread(at: 9_000).ended, [running[1], running[3]]))
        expect(same(unread(at: 9_000).asked, [running[1], running[3], running[0]]))
        expect(queue.watch(), "again, after it was looked")
    }
}
