import Glibc
import HandOver
import LinuxSystem
import SeededRandom
import TestPlaces
import Testing

/// A process that appends to a journal is killed at any moment.
@Suite struct KilledWriterTests {
    /// The number of the last piece of a record, as `doomed` writes it; throws where a piece is not whole.
    private static func last(of record: [UInt8]) throws -> UInt32 {
        var (place, last) = (0, UInt32(0))
        while place < record.count {
            try #require(record.count - place >= 8)
            let (number, count) = record.withUnsafeBytes {
                (
                    $0.loadUnaligned(fromByteOffset: place, as: UInt32.self),
                    Int($0.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self))
                )
            }
            if number >> 31 == 1 {
                // Only the first piece sums up others.
                try #require(place == 0)
                last = number & ~(1 << 31)
            } else {
                try #require(number == last + 1)
                last = number
            }
            place += 8
            try #require(record.count - place >= count)
            try #require(record[place..<place + count].allSatisfy { $0 == UInt8(truncatingIfNeeded: number) })
            place += count
        }
        return last
    }

    @Test func everyPieceThatWasAppendedIsThereAndNoneInPart() throws {
        var random = SeededRandom(seed: 11)
        for _ in 0..<60 {
            let (here, there) = try ParcelSocket.pair()
            let nothing = try Descriptor.open("/dev/null", O_RDWR)
            let processID = try ProcessSpawn.spawn(
                Built.path("doomed"), arguments: ["doomed", "journal"], environment: [],
                descriptors: [nothing.raw, nothing.raw, STDERR_FILENO, there.raw])
            let process = try ProcessHandle(child: processID)
            defer { process.kill() }
            let files = try #require(try here.receive(withinMilliseconds: 60_000))
            guard let journal = files.take(0), let counter = files.take(1) else {
                Issue.record("the program sent no journal")
                return
            }
            func appended() -> UInt64 {
                var number: UInt64 = 0
                _ = pread(counter.raw, &number, 8, 0)
                return number
            }
            // Some are killed while the first place is in use, others after many changes of the place.
            let wanted = UInt64.random(in: 0...UInt64.random(in: 1...4000, using: &random), using: &random)
            while appended() < wanted { sched_yield() }
            process.kill()
            _ = process.waitForExit()
            let last = try Self.last(of: try TurnJournal.read(journal, max: 1 << 20))
            // The last piece may have been committed just before it could be counted.
            #expect(UInt64(last) == appended() || UInt64(last) == appended() + 1)
        }
    }
}
