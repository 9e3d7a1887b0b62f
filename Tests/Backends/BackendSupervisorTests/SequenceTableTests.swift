import BackendIPC
import EventLoop
import Testing

@testable import BackendSupervisor

@Suite("SequenceTable")
@IOLoop
struct SequenceTableTests {
    private final class Silent: SequenceHandler {
        func received(_ run: TokenRunView) {}
        func finished(_ finish: Finish) {}
        func lost(_ reason: String) {}
    }

    private func insert(_ table: inout SequenceTable, serial: UInt64) throws -> SequenceID {
        let id = table.insert(Silent(), serial: serial)
        return try #require(id)
    }

    @Test("numbers are dense, and free again after the end")
    func numbers() throws {
        var table = SequenceTable(capacity: 2)
        let first = try insert(&table, serial: 1)
        let second = try insert(&table, serial: 2)
        #expect([first.number, second.number] == [0, 1])
        let third = table.insert(Silent(), serial: 3)
        #expect(third == nil)
        #expect(table.running == 2)
        let removals = [table.remove(0) != nil, table.remove(0) != nil]
        #expect(removals == [true, false])
        let next = try insert(&table, serial: 4)
        #expect(next.number == 0)
    }

    @Test("numbers outside the table are nobody's", arguments: [UInt32(2), .max])
    func strangers(number: UInt32) {
        var table = SequenceTable(capacity: 2)
        #expect(table.handler(number) == nil)
        let stranger = SequenceID(number: number, serial: 0)
        let effects = [table.remove(number) != nil, table.grant(stranger, tokens: 1), table.cancel(stranger)]
        #expect(effects == [false, false, false])
    }

    @Test("an old name does not reach the number's next sequence")
    func staleNames() throws {
        var table = SequenceTable(capacity: 1)
        let old = try insert(&table, serial: 1)
        _ = table.remove(old.number)
        _ = try insert(&table, serial: 2)
        let effects = [table.grant(old, tokens: 1), table.cancel(old)]
        #expect(effects == [false, false])
        #expect(!table.hasPending)
    }

    @Test("grants add up until they are told, and saturate")
    func grants() throws {
        var table = SequenceTable(capacity: 2)
        let id = try insert(&table, serial: 1)
        let effects = [3, 4, 0].map { table.grant(id, tokens: $0) }
        #expect(effects == [true, true, false])
        let told = table.takePending().map(\.grant)
        let toldAgain = table.takePending().map(\.grant)
        #expect(told == [7])
        #expect(toldAgain == [])
        _ = table.grant(id, tokens: .max)
        _ = table.grant(id, tokens: .max)
        let saturated = table.takePending().map(\.grant)
        #expect(saturated == [.max])
    }

    @Test("a cancel is told once, and ends the granting")
    func cancel() throws {
        var table = SequenceTable(capacity: 2)
        let id = try insert(&table, serial: 1)
        let effects = [table.cancel(id), table.cancel(id), table.grant(id, tokens: 1)]
        #expect(effects == [true, false, false])
        let told = table.takePending().map(\.isCancelled)
        let toldAgain = table.takePending().map(\.isCancelled)
        #expect(told == [true])
        #expect(toldAgain == [])
    }

    @Test("what was for a sequence that ended meanwhile is not told to its successor")
    func endedMeanwhile() throws {
        var table = SequenceTable(capacity: 1)
        let old = try insert(&table, serial: 1)
        _ = table.grant(old, tokens: 5)
        _ = table.cancel(old)
        _ = table.remove(old.number)
        let new = try insert(&table, serial: 2)
        _ = table.grant(new, tokens: 2)
        let told = table.takePending()
        #expect(told.reduce(0) { $0 + $1.grant } == 2)
        #expect(!told.contains { $0.isCancelled })
    }
}
