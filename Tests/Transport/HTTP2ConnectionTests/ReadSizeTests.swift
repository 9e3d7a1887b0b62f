import Testing

@testable import HTTP2Connection

struct ReadSizeTests {
    /// The sizes after reads that filled the buffer, of which a part was parsed at once or all.
    private static func sizes(_ areParsed: [Bool]) -> [Int] {
        var size = ReadSize()
        return areParsed.map { isParsed in
            size.note(count: size.bytes, taken: isParsed ? size.bytes : size.bytes - 1)
            return size.bytes >> 10
        }
    }

    @Test("What cannot be parsed at once makes the next reads smaller, and what is makes them larger again")
    func adapts() {
        #expect(Self.sizes([true, false, false, false]) == [64, 16, 4, 4])
        #expect(Self.sizes([false, false, true, true, true, true, true]) == [16, 4, 8, 16, 32, 64, 64])
    }

    @Test("A read that does not fill the buffer changes nothing")
    func part() {
        var size = ReadSize()
        size.note(count: size.bytes, taken: 0)
        size.note(count: 100, taken: 100)
        #expect(size.bytes == 16 << 10)
    }
}
