import Testing

@testable import GRPC

struct MemoryEbbTests {
    /// What is held and what is resident, in mebibytes, at a look.
    typealias Look = (held: Int, resident: Int)

    /// The looks at which memory was returned.
    private static func returns(_ looks: [Look]) -> [Int] {
        var ebb = MemoryEbb()
        return looks.indices.filter {
            ebb.look(heldBytes: looks[$0].held << 20, residentBytes: looks[$0].resident << 20)
        }
    }

    private static func steady(_ held: Int, _ resident: Int, _ looks: Int = MemoryEbb.looks) -> [Look] {
        [Look](repeating: (held, resident), count: looks)
    }

    @Test("What stays resident after it was held is returned once")
    func once() {
        let looks = [(0, 20), (100, 120)] + Self.steady(1, 120) + Self.steady(1, 25, 50)
        #expect(Self.returns(looks) == [1 + MemoryEbb.looks])
    }

    @Test("What comes and goes between two looks is returned too: it need never have been seen as held")
    func unseen() {
        #expect(Self.returns([(0, 20)] + Self.steady(0, 40)) == [MemoryEbb.looks])
    }

    @Test("What is held is left alone, and so is what is little or is used again in between")
    func leftAlone() {
        #expect(Self.returns([(0, 20)] + Self.steady(100, 120, 50)) == [])
        #expect(Self.returns([(0, 20)] + Self.steady(0, 27, 50)) == [])
        #expect(Self.returns((0..<100).map { $0 % 4 == 0 ? (0, 20) : $0 % 4 == 3 ? (40, 60) : (0, 60) }) == [])
    }

    @Test("Where something else has grown, it returns once and measures from there")
    func others() {
        let changing = (0..<50).map { (0, 80 + $0 % 2) }
        #expect(Self.returns([(0, 20)] + changing + Self.steady(0, 100)) == [MemoryEbb.looks, 50 + MemoryEbb.looks])
    }

    @Test("What was in use at a return is returned once nothing changes any more, and no more often")
    func inUse() {
        let attack = (0..<20).map { (0, 60 - $0 % 3) }
        #expect(Self.returns([(0, 20)] + attack + Self.steady(0, 50, 200)) == [8, 21 + MemoryEbb.stillLooks])
        #expect(Self.returns([(0, 20)] + Self.steady(0, 27, 200)) == [])
    }

    @Test("It goes on looking until memory was returned, and once more to see what was left")
    func isHigh() {
        var ebb = MemoryEbb()
        _ = ebb.look(heldBytes: 0, residentBytes: 0)
        #expect(!ebb.isHigh)
        for look in 1...MemoryEbb.looks {
            #expect(ebb.look(heldBytes: 0, residentBytes: MemoryEbb.bytesMin) == (look == MemoryEbb.looks))
            #expect(ebb.isHigh)
        }
        _ = ebb.look(heldBytes: 0, residentBytes: 0)
        #expect(!ebb.isHigh)
    }
}
