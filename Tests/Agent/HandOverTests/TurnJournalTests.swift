import Glibc
import HandOver
import LinuxSystem
import Testing

@Suite struct TurnJournalTests {
    private static let max = 64 << 20

    private static func record(in file: borrowing Descriptor) throws -> [UInt8] {
        try TurnJournal.read(try file.duplicate(), max: max)
    }

    @Test func aRecordIsThePiecesInTheirOrder() throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 1 << 20)
        let journal = try TurnJournal(in: file, recordBytesMax: 1 << 20)
        #expect(try Self.record(in: file) == [])
        for piece in [[1, 2], [], [3]] as [[UInt8]] { #expect(journal.append(piece) { fatalError("there is room") }) }
        #expect(try Self.record(in: file) == [1, 2, 3])
    }

    @Test func aFullRecordIsWrittenAnew() throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 1 << 20)
        let journal = try TurnJournal(in: file, recordBytesMax: 1 << 20)
        let piece = [UInt8](repeating: 7, count: 1000)
        var (rewritten, expected): (Int, [UInt8]) = (0, [])
        for number in 0..<2000 {
            expected += piece
            let isKept = journal.append(piece) {
                rewritten += 1
                expected = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number * 100)
                return expected
            }
            #expect(isKept)
            if number % 50 == 0 { #expect(try Self.record(in: file) == expected) }
        }
        #expect(try Self.record(in: file) == expected)
        // As the record grows, so does what may be written before it is written anew.
        #expect(rewritten > 3 && rewritten < 60)
    }

    @Test func memoryIsGivenBack() throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 8 << 20)
        let journal = try TurnJournal(in: file, recordBytesMax: 8 << 20)
        #expect(journal.rewrite([UInt8](repeating: 1, count: 8 << 20)))
        #expect(try Self.memoryBytes(of: file) >= 8 << 20)
        #expect(journal.rewrite([1]))
        #expect(try Self.memoryBytes(of: file) <= 128 << 10)
        #expect(try Self.record(in: file) == [1])
    }

    private static func memoryBytes(of file: borrowing Descriptor) throws -> Int {
        var facts = stat()
        try #require(fstat(file.raw, &facts) == 0)
        return Int(facts.st_blocks) * 512
    }

    @Test func aRecordThatIsTooLongIsGivenUp() throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 1000)
        let journal = try TurnJournal(in: file, recordBytesMax: 1000)
        #expect(journal.append([UInt8](repeating: 1, count: 60_000)) { [] })
        #expect(!journal.append([UInt8](repeating: 1, count: 60_000)) { [UInt8](repeating: 1, count: 1001) })
        #expect(!journal.isSound)
        #expect(!journal.append([1]) { [] })
        #expect(!journal.rewrite([]))
        #expect(throws: JournalError.self) { try Self.record(in: file) }
        #expect(try Self.memoryBytes(of: file) <= 4096)
    }

    @Test func nobodyCanMakeTheFileShorter() throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 1000)
        #expect(ftruncate(file.raw, 0) != 0)
        #expect(errno == EPERM)
    }

    /// Numbers of a journal's first page: where each lies, and what it must not be.
    @Test(
        "a file with wrong numbers is an error",
        arguments: [
            (0, 1), (8, 2), (16, 0), (16, 1 << 62), (16, .max), (64, UInt64(1) << 40), (64, .max), (64, .max - 1),
            (64, UInt64(131_073) << 1),
        ] as [(Int, UInt64)])
    func wrongNumbers(place: Int, number: UInt64) throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 64 << 10)
        let journal = try TurnJournal(in: file, recordBytesMax: 64 << 10)
        #expect(journal.append([1, 2, 3]) { [] })
        var number = number
        #expect(pwrite(file.raw, &number, 8, off_t(place)) == 8)
        #expect(throws: JournalError.self) { try Self.record(in: file) }
    }

    @Test func whatIsNoJournalIsAnError() throws {
        let pipe = try Descriptor.pipe()
        #expect(throws: JournalError.self) { try TurnJournal.read(try pipe.first.duplicate(), max: Self.max) }
        let empty = try Descriptor.memoryFile("test")
        #expect(throws: JournalError.self) { try TurnJournal.read(try empty.duplicate(), max: Self.max) }
        // A journal's page, and nothing behind it.
        let file = try TurnJournal.makeFile(recordBytesMax: 64 << 10)
        let journal = try TurnJournal(in: file, recordBytesMax: 64 << 10)
        #expect(journal.append([1]) { [] })
        var page = [UInt8](repeating: 0, count: 4096)
        #expect(pread(file.raw, &page, 4096, 0) == 4096)
        try empty.writeAll(page)
        #expect(throws: JournalError.self) { try TurnJournal.read(try empty.duplicate(), max: Self.max) }
    }

    @Test func aReaderBoundsWhatItReads() throws {
        let file = try TurnJournal.makeFile(recordBytesMax: 64 << 10)
        let journal = try TurnJournal(in: file, recordBytesMax: 64 << 10)
        #expect(journal.append([1, 2, 3]) { [] })
        #expect(try TurnJournal.read(try file.duplicate(), max: 3) == [1, 2, 3])
        #expect(throws: JournalError.self) { try TurnJournal.read(try file.duplicate(), max: 2) }
    }
}
