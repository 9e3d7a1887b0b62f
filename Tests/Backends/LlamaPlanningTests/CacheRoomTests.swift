import LlamaPlanning
import Testing

@Suite("CacheRoom")
struct CacheRoomTests {
    /// Sequences are numbered from the last to the first that came, so that numbers decide nothing.
    private func member(
        _ arrival: UInt64, cells: Int, holding: Bool = true, room: Bool = true, runnable: Bool = true,
        awaitsEnd: Bool = false
    ) -> CacheRoom.Member {
        CacheRoom.Member(
            sequence: 100 - Int(arrival), arrival: arrival, cells: cells, isHolding: holding, hasRoom: room,
            isRunnable: runnable, awaitsEnd: awaitsEnd)
    }

    private func new(_ arrival: UInt64, cells: Int, runnable: Bool = true) -> CacheRoom.Member {
        member(arrival, cells: cells, holding: false, room: false, runnable: runnable)
    }

    private func admitted(_ members: [CacheRoom.Member]) -> [Int] {
        CacheRoom.admitted(members.reversed(), cells: 1_000).map { 100 - $0 }
    }

    @Test("who comes is given room while there is some, one cell more for the next token of each")
    func room() {
        #expect(admitted([]) == [])
        #expect(admitted([new(1, cells: 999)]) == [1])
        #expect(admitted([member(1, cells: 500), new(2, cells: 498)]) == [2])
        #expect(admitted([member(1, cells: 500), new(2, cells: 499)]) == [])
        #expect(
            admitted([new(1, cells: 300), new(2, cells: 300), new(3, cells: 300), new(4, cells: 300)]) == [1, 2, 3])
        #expect(admitted([member(1, cells: 10), member(2, cells: 10)]) == [])
    }

    @Test("as many whole contexts as there are cells for all have room at once")
    func wholeContexts() {
        for sequences in 1...8 {
            let context = 100
            let members = (1..<UInt64(max(2, sequences))).map { member($0, cells: context - 1) }
            let last = new(99, cells: context - 1)
            #expect(
                CacheRoom.admitted(members + [last], cells: context * (members.count + 1)) == [last.sequence])
        }
    }

    @Test("a short one passes a long one that waits, and does not hold it up: only who came before it does")
    func passing() {
        let first = member(1, cells: 600)
        let long = new(2, cells: 700)
        #expect(admitted([first, long, new(3, cells: 300)]) == [3])
        #expect(admitted([long, member(3, cells: 400)]) == [2], "the first has ended")
    }

    @Test("where nothing computes the first that can is given room, whatever the figures say")
    func force() {
        #expect(admitted([new(1, cells: 5_000), new(2, cells: 10)]) == [1])
        let stalled = member(1, cells: 900, runnable: false)
        #expect(admitted([stalled, new(2, cells: 500)]) == [2])
        #expect(admitted([stalled, new(2, cells: 500, runnable: false)]) == [])
        #expect(admitted([member(1, cells: 10, holding: false, room: false, awaitsEnd: true)]) == [1])
    }

    @Test("who gave way waits for an end while others compute")
    func awaitsEnd() {
        let gaveWay = member(2, cells: 10, holding: false, room: false, awaitsEnd: true)
        #expect(admitted([member(1, cells: 10), gaveWay]) == [])
        #expect(admitted([member(1, cells: 10, runnable: false), gaveWay]) == [2])
    }

    @Test("who does not compute gives way first, then the last that came, never the only one")
    func givingWay() {
        func givingWay(_ members: [CacheRoom.Member]) -> Int? { CacheRoom.givingWay(members).map { 100 - $0 } }
        let computing = [member(1, cells: 300), member(3, cells: 300)]
        let stalled = [member(2, cells: 200, runnable: false), member(4, cells: 200, runnable: false)]
        let waiting = [member(5, cells: 100, room: false), member(6, cells: 100, room: false)]
        #expect(givingWay(computing + stalled + waiting) == 6)
        #expect(givingWay(computing + stalled + waiting.dropLast()) == 5)
        #expect(givingWay(computing + stalled) == 4)
        #expect(givingWay(computing + stalled.dropLast()) == 2)
        #expect(givingWay(computing) == 3)
        #expect(givingWay(computing.dropLast()) == nil)
        #expect(givingWay([member(1, cells: 300), member(2, cells: 5, holding: false)]) == 2, "it has no cells yet")
        #expect(givingWay([member(1, cells: 300), new(2, cells: 5)]) == nil)
        #expect(givingWay([]) == nil)
    }

    /// Runs sequences to their ends: every turn those with room take cells, and where there are none one gives way.
    private func turns(_ prompts: [Int], completion: Int, cells: Int) -> (ended: [UInt64], turns: Int)? {
        struct Running {
            var member: CacheRoom.Member
            var computed = 0
            var end: Int
        }
        var running = prompts.enumerated().map {
            Running(member: new(UInt64($0), cells: $1), end: $1 + completion)
        }
        var ended: [UInt64] = []
        for turn in 1...100_000 {
            let admitted = CacheRoom.admitted(running.map(\.member), cells: cells)
            for index in running.indices where admitted.contains(running[index].member.sequence) {
                running[index].member.hasRoom = true
            }
            let wanted = running.map { $0.member.hasRoom ? min(50, $0.member.cells - $0.computed) : 0 }
            if running.reduce(0, { $0 + $1.computed }) + wanted.reduce(0, +) > cells {
                guard let number = CacheRoom.givingWay(running.map(\.member)),
                    let index = running.firstIndex(where: { $0.member.sequence == number })
                else { return nil }
                running[index].computed = 0
                running[index].member.isHolding = false
                running[index].member.hasRoom = false
                running[index].member.awaitsEnd = true
                continue
            }
            for index in running.indices where wanted[index] > 0 {
                running[index].computed += wanted[index]
                running[index].member.isHolding = true
                if running[index].computed == running[index].member.cells { running[index].member.cells += 1 }
            }
            let done = running.filter { $0.member.cells >= $0.end }.map(\.member.arrival)
            ended += done
            running.removeAll { done.contains($0.member.arrival) }
            if !done.isEmpty { for index in running.indices { running[index].member.awaitsEnd = false } }
            if running.isEmpty { return (ended, turn) }
        }
        return nil
    }

    @Test("whatever sequences want of the cells, all of them end")
    func allEnd() throws {
        let same = try #require(turns(Array(repeating: 400, count: 5), completion: 500, cells: 1_000))
        #expect(same.ended == [0, 1, 2, 3, 4])
        #expect(try #require(turns([900, 10, 10, 10], completion: 80, cells: 1_000)).ended.last == 3)
        #expect(try #require(turns([10, 10], completion: 980, cells: 1_000)).ended == [0, 1])
        // With room for all at once, nobody waits.
        let ample = try #require(turns(Array(repeating: 400, count: 5), completion: 500, cells: 5_000))
        #expect(ample.ended.count == 5 && ample.turns < same.turns / 3)
        #expect(turns([2_000], completion: 1, cells: 1_000) == nil, "it is alone, and too long")
    }
}
