import ConsumerAccess
import GRPC
import LinuxSystem
import Testing

@testable import InferenceService

struct FairQueueTests {
    private final class Request: QueuedRequest {
        let claim: QueueClaim

        init(_ claim: QueueClaim) { self.claim = claim }
    }

    private static func caller(_ number: UInt32) -> CallerID { .origin(.user(number)) }

    private let alice = caller(1)
    private let bob = caller(2)
    private let carol = caller(3)

    /// A model with one sequence, or several: serves a queue second by second.
    private struct Model {
        var queue: FairQueue<Request>
        private let sequences: Int
        private var running: [(request: Request, end: UInt64)] = []
        private(set) var second: UInt64 = 0
        /// Those that have begun, in order, and the seconds for which each caller has held sequences.
        private(set) var begun: [Request] = []
        private(set) var held: [CallerID: UInt64] = [:]

        init(sequences: Int = 1, limits: InferenceLimits = InferenceLimits()) {
            queue = FairQueue(limits)
            self.sequences = sequences
        }

        private var now: Monotonic { Monotonic(nanoseconds: second * 1_000_000_000) }

        /// Whose turns have begun since.
        func callers(since count: Int = 0) -> [CallerID] { begun.dropFirst(count).map(\.claim.caller) }

        @discardableResult
        mutating func ask(
            _ caller: CallerID, times: Int = 1, _ change: (inout QueueClaim) -> Void = { _ in }
        ) -> [Request] {
            var claim = QueueClaim(caller: caller)
            change(&claim)
            let requests = (0..<times).map { _ in Request(claim) }
            for request in requests { queue.insert(request) }
            return requests
        }

        /// Lets so many seconds go by; `seconds`: how long the turn of a request takes. `asksAgain`: its caller asks again
        /// when it has ended.
        mutating func run(
            _ count: UInt64, asksAgain: Bool = false, seconds: (Request) -> UInt64 = { _ in 1 }
        ) {
            for _ in 0..<count {
                while running.count < sequences, let next = queue.first {
                    queue.began(next, at: now)
                    begun.append(next)
                    running.append((next, second + seconds(next)))
                }
                second += 1
                for one in running { held[one.request.claim.caller, default: 0] += 1 }
                let over = running.filter { $0.end <= second }
                running.removeAll { $0.end <= second }
                for one in over {
                    queue.ended(one.request, at: now)
                    if asksAgain { ask(one.request.claim.caller) }
                }
            }
        }
    }

    @Test func `the requests of one caller are served in the order in which they came`() {
        var model = Model()
        let requests = model.ask(alice, times: 20)
        model.run(20)
        #expect(model.begun.map(ObjectIdentifier.init) == requests.map(ObjectIdentifier.init))
        #expect(model.queue.isEmpty)
    }

    @Test func `who has a hundred waiting requests delays another one's first by no more than a turn`() {
        var model = Model()
        model.ask(alice, times: 100)
        model.run(7)
        model.ask(bob)
        model.run(2)
        #expect(model.callers(since: 7) == [bob, alice])
    }

    @Test func `a hundred callers with much to do delay a newcomer by no more than a turn each`() {
        var model = Model()
        for number in 10..<110 as Range<UInt32> { model.ask(Self.caller(number), times: 20) }
        model.run(250)
        model.ask(alice)
        model.run(101)
        #expect(model.callers(since: 250).contains(alice))
    }

    @Test func `callers take turns, however many requests each has`() {
        var model = Model()
        model.ask(alice, times: 30)
        model.ask(bob, times: 10)
        model.ask(carol, times: 10)
        model.run(30)
        for caller in [alice, bob, carol] { #expect(model.callers().count { $0 == caller } == 10) }
        #expect(model.callers().prefix(3).count { $0 == alice } == 1)
    }

    @Test func `who has a greater share gets so much more`() {
        var model = Model()
        model.ask(alice, times: 200) { $0.share = 3 }
        model.ask(bob, times: 200)
        model.run(200)
        #expect((149...151).contains(model.held[alice] ?? 0))
    }

    @Test func `what is shared is time, so that long turns are fewer`() {
        var model = Model()
        let alice = alice
        model.ask(alice, times: 100)
        model.ask(bob, times: 500)
        model.run(400) { $0.claim.caller == alice ? 10 : 1 }
        #expect((185...215).contains(model.held[alice] ?? 0), "\(model.held)")
    }

    @Test func `it is shared too among those that ask again when they were answered`() {
        var model = Model()
        let alice = alice
        model.ask(alice)
        model.ask(bob)
        model.run(400, asksAgain: true) { $0.claim.caller == alice ? 10 : 1 }
        #expect((185...215).contains(model.held[alice] ?? 0), "\(model.held)")
    }

    @Test func `a turn of several sequences costs as much as so many turns`() {
        var model = Model()
        model.ask(alice, times: 100) { $0.sequences = 4 }
        model.ask(bob, times: 100)
        model.run(100)
        #expect((78...82).contains(model.held[bob] ?? 0), "\(model.held)")
    }

    @Test func `on several sequences as on one`() {
        var model = Model(sequences: 8)
        model.ask(alice, times: 500)
        model.run(5)
        model.ask(bob, times: 500)
        model.run(40)
        #expect(model.callers(since: 40).prefix(8).contains(bob))
        #expect((150...170).contains(model.held[bob] ?? 0), "\(model.held)")
    }

    @Test func `who comes back has saved nothing up`() {
        var model = Model()
        model.ask(bob)
        model.ask(alice, times: 200)
        model.run(100)
        model.ask(bob, times: 100)
        model.run(20)
        #expect((9...11).contains(model.callers(since: 100).count { $0 == bob }))
    }

    @Test func `of one caller those of higher priority go first`() {
        var model = Model()
        let low = model.ask(alice) { $0.priority = .low }
        let normal = model.ask(alice, times: 2)
        let high = model.ask(alice) { $0.priority = .high }
        model.run(4)
        #expect(model.begun.map(ObjectIdentifier.init) == (high + normal + low).map(ObjectIdentifier.init))
    }

    @Test func `between callers high goes before normal and low behind it, and all go on`() {
        var model = Model()
        model.ask(alice, times: 300) { $0.priority = .low }
        model.ask(bob, times: 300)
        model.ask(carol, times: 300) { $0.priority = .high }
        model.run(292)
        #expect(model.callers().first == carol)
        #expect((255...257).contains(model.held[carol] ?? 0), "\(model.held)")
        #expect((31...33).contains(model.held[bob] ?? 0), "\(model.held)")
        #expect((3...5).contains(model.held[alice] ?? 0), "\(model.held)")
    }

    @Test func `one of low priority waits for those of normal priority, but not for ever`() throws {
        var model = Model()
        model.ask(bob, times: 100)
        model.run(3)
        model.ask(alice) { $0.priority = .low }
        model.run(30)
        let place = try #require(model.callers(since: 3).firstIndex(of: alice))
        #expect((6...9).contains(place))
    }

    @Test func `one that took very long is served again at some time`() {
        var limits = InferenceLimits()
        limits.countedTurnMilliseconds = 20_000
        var model = Model(limits: limits)
        let alice = alice
        model.ask(alice, times: 2)
        model.ask(bob, times: 3_000)
        // Her second turn waits for as long as is counted of the first, not for as long as that took.
        model.run(960) { $0.claim.caller == alice ? 900 : 1 }
        #expect(model.callers().count { $0 == alice } == 2)
        #expect(model.callers().count { $0 == bob } > 10)
    }

    @Test func `one that gives up leaves the others in their order`() {
        var model = Model()
        let requests = model.ask(alice, times: 5)
        let removed = [2, 2, 0].map { model.queue.remove(requests[$0]) }
        #expect(removed == [true, false, true])
        #expect(model.queue.count == 3)
        model.run(3)
        let left = [1, 3, 4].map { ObjectIdentifier(requests[$0]) }
        #expect(model.begun.map(ObjectIdentifier.init) == left)
    }

    @Test func `the order is known beforehand, and to know it changes nothing`() {
        var model = Model()
        model.ask(alice, times: 6)
        model.ask(bob, times: 4) { $0.share = 2 }
        model.ask(carol, times: 3) { $0.priority = .low }
        let order = model.queue.inOrder.map(ObjectIdentifier.init)
        #expect(Set(order).count == 13)
        #expect(model.queue.inOrder.map(ObjectIdentifier.init) == order)
        model.run(13)
        #expect(model.begun.map(ObjectIdentifier.init) == order)
    }

    @Test func `thousands of requests of hundreds of callers are all served once`() {
        var model = Model(sequences: 16)
        for number in 0..<4_096 as Range<UInt32> {
            model.ask(Self.caller(number % 499)) { $0.priority = number % 7 == 0 ? .low : .normal }
        }
        model.run(256)
        #expect(Set(model.begun.map(ObjectIdentifier.init)).count == 4_096)
        #expect(model.queue.isEmpty)
    }

    @Test func `those that want to hear their place are counted`() {
        var model = Model()
        let one = model.ask(alice) { $0.wantsPlace = true }
        model.ask(bob)
        #expect(model.queue.wantingPlaceCount == 1)
        _ = model.queue.remove(one[0])
        #expect(model.queue.wantingPlaceCount == 0)
    }

    @Test func `nobody is remembered once nobody waits and nobody is served`() {
        var model = Model()
        model.ask(alice, times: 2)
        model.ask(bob)
        #expect(model.queue.callerCount == 2)
        model.run(3)
        #expect(model.queue.callerCount == 0)
        let given = model.ask(carol)
        _ = model.queue.remove(given[0])
        #expect(model.queue.callerCount == 0)
    }

    @Test func `of too many callers that rest none is remembered`() {
        var limits = InferenceLimits()
        limits.rememberedCallersMax = 10
        var model = Model(limits: limits)
        let alice = alice
        model.ask(alice, times: 1_000)
        for number in 10..<60 as Range<UInt32> {
            // It has used more than the one that is served all the time.
            model.ask(Self.caller(number))
            model.run(15) { $0.claim.caller == alice ? 1 : 10 }
            #expect(model.queue.callerCount <= 11)
        }
    }

    @Test func `in a full queue the one who has most makes room, for one who has less`() {
        var model = Model()
        let many = model.ask(alice, times: 4)
        model.ask(bob, times: 2)
        #expect(model.queue.last(ofMoreThan: carol) === many.last)
        #expect(model.queue.last(ofMoreThan: bob) === many.last)
        #expect(model.queue.last(ofMoreThan: alice) == nil)
        _ = model.queue.remove(many[3])
        #expect(model.queue.last(ofMoreThan: bob) == nil, "it would only change places")
    }

    @Test func `how long is waited follows from what turns took lately`() {
        var model = Model(sequences: 2)
        model.ask(alice, times: 6)
        #expect(model.queue.milliseconds(untilEnded: 1) == nil)
        model.run(5) { _ in 4 }
        #expect(model.queue.milliseconds(untilEnded: 1) == 2_000)
        #expect(model.queue.milliseconds(untilEnded: 3) == 6_000)
    }
}
