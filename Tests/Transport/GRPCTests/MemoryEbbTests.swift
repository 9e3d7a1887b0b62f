import Testing

@testable import GRPC

struct MemoryEbbTests {
    /// The looks at which memory was given back.
    private static func givenBack(_ held: [Int]) -> [Int] {
        var ebb = MemoryEbb()
        return held.indices.filter { ebb.look(heldBytes: held[$0] << 20) }
    }

    private static func steady(_ mebibytes: Int, _ looks: Int = MemoryEbb.looks) -> [Int] {
        [Int](repeating: mebibytes, count: looks)
    }

    @Test("After a high tide memory is given back once")
    func once() {
        #expect(Self.givenBack([0, 10, 100] + Self.steady(1, 50)) == [2 + MemoryEbb.looks])
    }

    @Test("What rises and falls is left alone, and so is what is little, or has fallen by little")
    func leftAlone() {
        #expect(Self.givenBack((0..<100).map { $0 % 3 == 0 ? 100 : 1 }) == [])
        #expect(Self.givenBack([7] + Self.steady(0, 50)) == [])
        #expect(Self.givenBack([100] + Self.steady(60, 50)) == [])
    }

    @Test("The next high tide is measured from where the last one has fallen to")
    func again() {
        let held = [100] + Self.steady(40) + Self.steady(15) + [90] + Self.steady(15)
        #expect(Self.givenBack(held) == [MemoryEbb.looks, 2 * MemoryEbb.looks, 3 * MemoryEbb.looks + 1])
    }

    @Test("It is high until it has been given back")
    func isHigh() {
        var ebb = MemoryEbb()
        #expect(!ebb.isHigh)
        _ = ebb.look(heldBytes: MemoryEbb.bytesMin)
        #expect(ebb.isHigh)
        for look in 1...MemoryEbb.looks { #expect(ebb.look(heldBytes: 0) == (look == MemoryEbb.looks)) }
        #expect(!ebb.isHigh)
    }
}
