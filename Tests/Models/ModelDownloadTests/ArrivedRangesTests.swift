import Testing

@testable import ModelDownload

struct ArrivedRangesTests {
    private func piece(_ offset: UInt64, _ count: UInt64, _ fill: UInt8 = 7) -> ArrivedRanges.Piece {
        ArrivedRanges.Piece(offset: offset, count: count, digest: [UInt8](repeating: fill, count: 32))
    }

    private func gap(_ ranges: ArrivedRanges, _ size: UInt64?) -> [UInt64?]? {
        ranges.gap(size: size).map { [$0.from, $0.to] }
    }

    @Test func `what is missing is the first gap, then the next, then the rest`() {
        var ranges = ArrivedRanges()
        #expect(gap(ranges, 100) == [0, 100])
        #expect(gap(ranges, nil) == [0, nil])
        ranges.add(piece(0, 10))
        ranges.add(piece(20, 10))
        ranges.add(piece(50, 50))
        #expect(gap(ranges, 100) == [10, 20])
        ranges.add(piece(10, 10))
        #expect(gap(ranges, 100) == [30, 50])
        ranges.add(piece(30, 20))
        #expect(ranges.gap(size: 100) == nil)
        #expect(gap(ranges, nil) == [100, nil])
        #expect(ranges.byteCount == 100)
    }

    @Test func `what is not as it arrived is missing again, and only that`() {
        var ranges = ArrivedRanges()
        for offset in stride(from: UInt64(0), to: 100, by: 10) { ranges.add(piece(offset, 10)) }
        ranges.remove(piece(40, 10))
        #expect(gap(ranges, 100) == [40, 50])
        #expect(ranges.byteCount == 90)
    }

    @Test func `what arrives over something takes its place`() {
        var ranges = ArrivedRanges()
        ranges.add(piece(0, 10))
        ranges.add(piece(10, 10))
        ranges.add(piece(5, 10, 9))
        #expect(ranges.pieces == [piece(5, 10, 9)])
        #expect(gap(ranges, 20) == [0, 5])
    }

    @Test func `a journal gives what was written to it, without a line that is not whole`() {
        var ranges = ArrivedRanges()
        var journal = ""
        for offset: UInt64 in [0, 30, 10] {
            ranges.add(piece(offset, 10))
            journal += ArrivedRanges.line(piece(offset, 10))
        }
        #expect(ArrivedRanges(journal: Array(journal.utf8)) == ranges)
        let half = ArrivedRanges.line(piece(50, 10)).dropLast(5)
        #expect(ArrivedRanges(journal: Array((journal + half).utf8)) == ranges)
        #expect(
            ArrivedRanges(journal: Array((journal + half + "\n" + ArrivedRanges.line(piece(60, 5))).utf8)).end == 65)
        for line in ["x", "1 2", "-1 5 00", "0 0 \(String(repeating: "00", count: 32))", "99999999999999999999 1 00"] {
            #expect(ArrivedRanges(journal: Array((line + "\n").utf8)).pieces.isEmpty)
        }
    }

    @Test func `patience ends after six attempts in a row that brought nothing`() {
        var patience = Patience()
        for _ in 0..<100 { #expect(patience.next(broughtSomething: true) == 100) }
        #expect(
            (0..<6).map { _ in patience.next(broughtSomething: false) } == [1_000, 2_000, 4_000, 8_000, 16_000, nil])
        patience = Patience()
        #expect(patience.next(broughtSomething: false, asked: 3) == 3_000)
        #expect(patience.next(broughtSomething: false, asked: .max) == 120_000)
        #expect(patience.next(broughtSomething: true) == 100)
        #expect(patience.next(broughtSomething: false) == 1_000)
    }
}
