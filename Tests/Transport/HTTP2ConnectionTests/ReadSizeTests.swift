import Testing

@testable import HTTP2Connection

struct ReadSizeTests {
    /// The sizes after reads that filled the buffer, of which a part was parsed at once or all; in kibibytes.
    private static func sizes(_ areParsed: [Bool]) -> [Int] {
        var size = ReadSize()
        return areParsed.map { isParsed in
            size.note(count: size.bytes, taken: isParsed ? size.bytes : size.bytes - 1)
            return size.bytes >> 10
        }
    }

    @Test("Reads begin small and grow while all of them is parsed at once")
    func grows() {
        #expect(ReadSize().bytes == 4 << 10)
        #expect(Self.sizes([true, true, true, true, true]) == [8, 16, 32, 64, 64])
    }

    @Test("What cannot be parsed at once makes the next reads smaller")
    func shrinks() {
        #expect(Self.sizes([true, true, true, true, false, false, false]) == [8, 16, 32, 64, 16, 4, 4])
        #expect(Self.sizes([false, true]) == [4, 8])
    }

    @Test("A read that does not fill the buffer makes the next one no larger")
    func part() {
        var size = ReadSize()
        size.note(count: 100, taken: 100)
        #expect(size.bytes == 4 << 10)
    }
}
