import LlamaPlanning
import Testing

@Suite("MemoryPlan")
struct MemoryPlanTests {
    private let cost = MemoryPlan.Cost(bytesPerToken: 1_000, bytesPerSequence: 50, fixedBytes: 7)

    /// Of separate caches; of one for all where the number of its cells is given.
    private func plan(
        _ memory: UInt64, context: Int, wanted: Bool = true, sequences: Int, cells: Int? = nil, longest: Int = 0
    ) -> MemoryPlan? {
        let wish = MemoryPlan.Wish(
            contextTokens: context, isContextWanted: wanted, sequences: sequences, sharedCells: cells,
            longestTokens: longest)
        return MemoryPlan(cost, wish) { $0 <= memory }
    }

    @Test("as many sequences as memory has room for, at most those wanted")
    func sequences() {
        for (memory, expected) in [(8_192_057, 1), (16_384_106, 1), (16_384_107, 2), (57_344_400, 7)] as [(UInt64, Int)]
        {
            #expect(plan(memory, context: 8_192, sequences: 64)?.sequences == expected)
        }
        #expect(plan(.max, context: 8_192, sequences: 64)?.sequences == 64)
        #expect(plan(.max, context: 8_192, sequences: 1)?.sequences == 1)
    }

    @Test("a draft model's context adds its cost, and nothing wraps")
    func sum() {
        var both = cost
        both += MemoryPlan.Cost(bytesPerToken: 200, bytesPerSequence: 5, fixedBytes: 3)
        #expect(both == MemoryPlan.Cost(bytesPerToken: 1_200, bytesPerSequence: 55, fixedBytes: 10))
        both += MemoryPlan.Cost(bytesPerToken: .max, bytesPerSequence: 1, fixedBytes: .max)
        #expect(both.bytesPerToken == .max && both.bytesPerSequence == 56 && both.fixedBytes == .max)
        #expect(both.bytes(cells: 1, sequences: 1) == .max)
    }

    @Test("the most that fits is found")
    func most() {
        for limit in [0, 1, 2, 63, 99] as [UInt64] { #expect(MemoryPlan.most(below: 100) { $0 <= limit } == limit) }
        #expect(MemoryPlan.most(below: 100) { _ in true } == 99)
        #expect(MemoryPlan.most(below: 0) { _ in true } == 0)
        #expect(MemoryPlan.most(below: .max) { $0 <= 12_345_678 } == 12_345_678)
    }

    @Test("a context that nobody asked for shrinks, one that was asked for does not")
    func context() {
        #expect(plan(3_000_000, context: 8_192, wanted: false, sequences: 4)?.contextTokens == 2_048)
        #expect(plan(3_000_000, context: 8_192, sequences: 4) == nil)
        #expect(plan(1_000, context: 8_192, wanted: false, sequences: 4) == nil)
    }

    @Test("shared cells: first one context, then sequences, then as many cells as fit, an eighth fewer each time")
    func sharedCells() throws {
        let all = try #require(plan(.max, context: 8_192, sequences: 4, cells: 32_768))
        #expect(all.isShared && all.sequences == 4 && all.cells == 32_768 && all.contextTokens == 8_192)
        let fewer = try #require(plan(20_000_000, context: 8_192, sequences: 4, cells: 32_768))
        #expect(fewer.sequences == 4 && fewer.cells == 19_208 && fewer.contextTokens == 8_192)
        let least = try #require(plan(8_192_207, context: 8_192, sequences: 4, cells: 32_768))
        #expect(least.sequences == 4 && least.cells == 8_192)
        let one = try #require(plan(8_192_106, context: 8_192, sequences: 4, cells: 32_768))
        #expect(one.sequences == 1 && one.cells == 8_192)
        #expect(plan(8_192_056, context: 8_192, sequences: 4, cells: 32_768) == nil)
    }

    @Test("a context that nobody asked for is as long as all cells, and as the model allows")
    func longContext() throws {
        func context(_ memory: UInt64, longest: Int, wanted: Bool = false) -> Int? {
            plan(memory, context: 8_192, wanted: wanted, sequences: 4, cells: 131_072, longest: longest)?.contextTokens
        }
        #expect(context(.max, longest: 131_072) == 131_072)
        #expect(context(.max, longest: 16_384) == 16_384)
        #expect(context(.max, longest: 131_072, wanted: true) == 8_192)
        #expect(context(120_000_000, longest: 131_072) == 114_688)
        #expect(context(8_200_000, longest: 131_072) == 8_192)
        #expect(context(3_000_000, longest: 131_072) == 2_730)
    }

    @Test("a plan fits into what it needs, and nothing more fits there")
    func steady() throws {
        for memory in stride(from: 600_000, through: 140_000_000, by: 7_654_321) as StrideThrough<UInt64> {
            for cells in [nil, 131_072] as [Int?] {
                let plan = try #require(
                    self.plan(memory, context: 8_192, wanted: false, sequences: 4, cells: cells, longest: 131_072))
                let needed = cost.bytes(cells: plan.cells, sequences: plan.sequences)
                #expect(needed <= memory)
                #expect(
                    self.plan(needed, context: 8_192, wanted: false, sequences: 4, cells: cells, longest: 131_072)
                        == plan)
            }
        }
    }

    @Test("what memory lacks against all figures is taken from the cells, then from the sequences")
    func smaller() {
        func smaller(_ plan: MemoryPlan?) -> [[Int]] {
            sequence(first: plan) { $0?.smaller }.dropFirst().prefix { $0 != nil }
                .compactMap { $0.map { [$0.cells, $0.sequences, $0.contextTokens] } }
        }
        #expect(
            smaller(plan(.max, context: 2_048, sequences: 2, cells: 8_192))
                == [[4_096, 2, 2_048], [2_048, 2, 2_048], [2_048, 1, 2_048]])
        #expect(
            smaller(plan(.max, context: 1_024, wanted: false, sequences: 1, cells: 2_048, longest: 2_048))
                == [[1_024, 1, 1_024], [512, 1, 512]])
        #expect(smaller(plan(.max, context: 1_024, sequences: 3)) == [[1_024, 1, 1_024]])
    }

    @Test("what a context costs follows from three that were measured")
    func measured() {
        func measure(_ tokens: UInt64, _ sequences: UInt64) -> UInt64 { (tokens * 1_000 + 50) * sequences + 7 }
        let measured = MemoryPlan.Cost(
            contextTokens: 8_192, one: measure(8_192, 1), two: measure(8_192, 2), half: measure(4_096, 1))
        #expect(measured == cost)
        for (tokens, sequences) in [(1, 1), (512, 64), (131_072, 3)] as [(Int, Int)] {
            let needed = measured.bytes(cells: tokens * sequences, sequences: sequences)
            #expect(needed == measure(UInt64(tokens), UInt64(sequences)))
        }
        // A state that does not grow with the context, and figures that make no sense.
        let state = MemoryPlan.Cost(contextTokens: 100, one: 700, two: 1_200, half: 700)
        #expect(state == MemoryPlan.Cost(bytesPerToken: 0, bytesPerSequence: 500, fixedBytes: 200))
        let none = MemoryPlan.Cost(contextTokens: 1, one: 0, two: 0, half: 9)
        #expect(none == MemoryPlan.Cost(bytesPerToken: 0, bytesPerSequence: 0, fixedBytes: 0))
    }

    @Test("weights are copied where that costs no sequence and no token")
    func copies() throws {
        let plan = try #require(self.plan(40_000_000, context: 8_192, sequences: 4))
        #expect(plan.hasRoom(forCopies: plan))
        #expect(!plan.hasRoom(forCopies: nil))
        #expect(!plan.hasRoom(forCopies: self.plan(20_000_000, context: 8_192, sequences: 4)))
        #expect(!plan.hasRoom(forCopies: self.plan(40_000_000, context: 4_096, sequences: 4)))
    }

    @Test("figures beyond every memory are too many, not few")
    func overflow() {
        let cost = MemoryPlan.Cost(bytesPerToken: .max / 2, bytesPerSequence: .max, fixedBytes: 1)
        #expect(cost.bytes(cells: 3, sequences: 3) == .max)
    }
}
