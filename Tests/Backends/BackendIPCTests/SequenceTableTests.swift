import Testing

@testable import BackendIPC

@Suite("SequenceTable")
struct SequenceTableTests {
    private struct Said: Equatable {
        let sequence: UInt32
        let credit: UInt32
        let isCancelled: Bool
    }

    private func begin(_ table: inout SequenceTable, credit: UInt32 = 0) throws -> SequenceID {
        let number = table.free
        table.start(try #require(number), credit: credit, SequenceBounds())
        let id = table.id(of: try #require(number))
        return try #require(id)
    }

    private func say(_ table: inout SequenceTable) -> [Said] {
        var said: [Said] = []
        table.takeUnsaid { said.append(Said(sequence: $0, credit: $1, isCancelled: $2)) }
        return said
    }

    @Test("numbers are dense, and free again after the end")
    func numbers() throws {
        var table = SequenceTable(count: 2)
        let first = try begin(&table)
        let second = try begin(&table)
        #expect([first.number, second.number] == [0, 1])
        #expect(table.free == nil)
        #expect(table.running == 2)
        table.end(0)
        #expect(table.running == 1 && table.id(of: 0) == nil)
        let next = try begin(&table)
        #expect(next.number == 0)
    }

    @Test("numbers outside the table are nobody's", arguments: [UInt32(2), .max])
    func strangers(number: UInt32) {
        var table = SequenceTable(count: 2)
        #expect(table.id(of: number) == nil)
        let stranger = SequenceID(number: number, serial: 0)
        let effects = [table.add(1, to: stranger), table.cancel(stranger)]
        #expect(effects == [false, false])
    }

    @Test("an old name does not reach the number's next sequence, even when all were ended")
    func staleNames() throws {
        var table = SequenceTable(count: 1)
        for end in [{ $0.end(0) }, { $0.endAll() }] as [(inout SequenceTable) -> Void] {
            let old = try begin(&table)
            end(&table)
            let afterEnd = [table.add(1, to: old), table.cancel(old)]
            #expect(afterEnd == [false, false])
            _ = try begin(&table)
            let effects = [table.add(1, to: old), table.cancel(old)]
            #expect(effects == [false, false])
            let said = say(&table)
            #expect(said == [])
            table.end(0)
        }
    }

    @Test("grants add up until they are said, count as credit from then on, and saturate")
    func grants() throws {
        var table = SequenceTable(count: 2)
        let id = try begin(&table)
        let effects = [3, 4, 0].map { table.add($0, to: id) }
        #expect(effects == [true, true, false])
        #expect(table[0]?.credit == 0 && !table.hasWork)
        let said = say(&table)
        let saidAgain = say(&table)
        #expect(said == [Said(sequence: 0, credit: 7, isCancelled: false)])
        #expect(saidAgain == [])
        #expect(table[0]?.credit == 7 && table.hasWork)
        table.spend(0, tokens: 7)
        _ = table.add(.max, to: id)
        _ = table.add(.max, to: id)
        let saturated = say(&table)
        #expect(saturated == [Said(sequence: 0, credit: .max, isCancelled: false)])
        // What does not fit is not said.
        table.spend(0, tokens: 5)
        _ = table.add(9, to: id)
        let rest = say(&table)
        #expect(rest == [Said(sequence: 0, credit: 5, isCancelled: false)])
        #expect(table[0]?.credit == .max)
    }

    @Test("a cancel is said once, and ends the granting")
    func cancel() throws {
        var table = SequenceTable(count: 2)
        let id = try begin(&table)
        let effects = [table.cancel(id), table.cancel(id), table.add(1, to: id)]
        #expect(effects == [true, false, false])
        #expect(table[0]?.cancelSent == false)
        let said = say(&table)
        let saidAgain = say(&table)
        #expect(said == [Said(sequence: 0, credit: 0, isCancelled: true)])
        #expect(saidAgain == [])
        #expect(table[0]?.cancelSent == true)
    }

    @Test("what was for a sequence that ended meanwhile is not said to its successor")
    func endedMeanwhile() throws {
        var table = SequenceTable(count: 1)
        let old = try begin(&table)
        _ = table.add(5, to: old)
        _ = table.cancel(old)
        table.end(0)
        let new = try begin(&table)
        _ = table.add(2, to: new)
        let said = say(&table)
        #expect(said == [Said(sequence: 0, credit: 2, isCancelled: false)])
        _ = table.add(2, to: new)
        table.end(0)
        let nothing = say(&table)
        #expect(nothing == [])
    }

    @Test("each of several sequences is said its own, those that were granted first come first")
    func several() throws {
        var table = SequenceTable(count: 3)
        let ids = try (0..<3).map { _ in try begin(&table, credit: 1) }
        _ = table.add(3, to: ids[2])
        _ = table.cancel(ids[0])
        _ = table.add(4, to: ids[2])
        let said = say(&table)
        #expect(
            said == [
                Said(sequence: 2, credit: 7, isCancelled: false), Said(sequence: 0, credit: 0, isCancelled: true),
            ])
        #expect((0..<3).map { table[$0]?.credit } == [1, 1, 8])
    }

    @Test("it knows how many running sequences send log-probabilities")
    func withLogprobs() {
        var table = SequenceTable(count: 3)
        table.start(0, credit: 1, SequenceBounds(logprobs: 0))
        table.start(1, credit: 1, SequenceBounds())
        table.start(2, credit: 1, SequenceBounds(logprobs: 5))
        #expect(table.withLogprobs == 2)
        #expect((0..<3).map { table.logprobs(of: $0) } == [0, nil, 5])
        table.end(1)
        table.end(2)
        #expect(table.withLogprobs == 1 && table.logprobs(of: 2) == nil)
        table.endAll()
        #expect(table.withLogprobs == 0 && table.logprobs(of: 0) == nil)
    }
}
