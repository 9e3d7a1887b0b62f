import Testing

@testable import EventLoop

struct BacklogTests {
    private static func limits(perTurn: Int, atOnce: Int) -> LoopLimits {
        var limits = LoopLimits()
        limits.unfinishedStepsPerTurnMax = perTurn
        limits.unfinishedStepsAtOnceMin = atOnce
        return limits
    }

    /// One turn in which everybody uses what it is given and is put back; who went on, and for how long.
    private static func turn(
        _ backlog: inout Backlog<String>, of source: (String) -> AnyHashable = { $0 }
    ) -> [(work: String, steps: Int)] {
        var served: [(work: String, steps: Int)] = []
        backlog.beginTurn()
        while let (work, steps) = backlog.next() {
            served.append((work, steps))
            backlog.append(work, of: source(work))
            backlog.used(steps)
        }
        return served
    }

    @Test func `a source that is alone gets all of a turn, once`() {
        var backlog = Backlog<String>(Self.limits(perTurn: 1_000, atOnce: 100))
        backlog.append("a", of: 1)
        for _ in 0..<3 {
            let served = Self.turn(&backlog)
            #expect(served.map(\.work) == ["a"])
            #expect(served.map(\.steps) == [1_000])
        }
    }

    @Test func `few share a turn evenly`() {
        var backlog = Backlog<String>(Self.limits(perTurn: 1_000, atOnce: 100))
        for name in ["a", "b", "c", "d"] { backlog.append(name, of: name) }
        let served = Self.turn(&backlog)
        #expect(served.map(\.work) == ["a", "b", "c", "d"])
        #expect(served.allSatisfy { $0.steps == 250 })
    }

    @Test func `a turn's steps are bounded however many wait, and all go on in their turn`() {
        var backlog = Backlog<String>(Self.limits(perTurn: 1_000, atOnce: 250))
        let names = (0..<256).map { "\($0)" }
        for name in names { backlog.append(name, of: name) }
        var served: [String] = []
        for _ in 0..<64 {
            let turn = Self.turn(&backlog)
            #expect(turn.reduce(0) { $0 + $1.steps } == 1_000)
            served += turn.map(\.work)
        }
        #expect(served == names)
        #expect(Self.turn(&backlog).map(\.work) == ["0", "1", "2", "3"])
    }

    @Test func `one piece that goes beyond its steps ends the turn`() {
        var backlog = Backlog<String>(Self.limits(perTurn: 1_000, atOnce: 250))
        for name in ["a", "b", "c"] { backlog.append(name, of: name) }
        backlog.beginTurn()
        #expect(backlog.next()?.work == "a")
        backlog.used(50_000)
        #expect(backlog.next() == nil)
        backlog.beginTurn()
        #expect(backlog.next()?.work == "b")
    }

    @Test func `a source with a thousand pieces gets no more than one with one`() {
        var backlog = Backlog<String>(Self.limits(perTurn: 1_000, atOnce: 250))
        for number in 0..<1_000 { backlog.append("many \(number)", of: "many") }
        backlog.append("one", of: "one")
        let source = { (work: String) in AnyHashable(work.hasPrefix("many") ? "many" : "one") }
        #expect(Self.turn(&backlog, of: source).map(\.work) == ["many 0", "one", "many 1", "one"])
        #expect(Self.turn(&backlog, of: source).map(\.work) == ["many 2", "one", "many 3", "one"])
    }

    @Test func `work with nothing to do costs something, so that no turn is without end`() {
        var backlog = Backlog<Int>(Self.limits(perTurn: 1_000, atOnce: 250))
        for number in 0..<10_000 { backlog.append(number, of: number) }
        backlog.beginTurn()
        var served = 0
        while backlog.next() != nil {
            served += 1
            backlog.used(0)
        }
        #expect(served == 100)
        #expect(backlog.count == 9_900)
    }

    @Test func `an empty backlog has nobody to serve`() {
        var backlog = Backlog<Int>(LoopLimits())
        backlog.beginTurn()
        #expect(backlog.next() == nil)
        backlog.append(1, of: 1)
        #expect(!backlog.isEmpty)
        // It came during the turn.
        #expect(backlog.next() == nil)
        backlog.beginTurn()
        #expect(backlog.next()?.work == 1)
        #expect(backlog.isEmpty)
    }
}
