import LlamaPlanning
import Testing

@Suite("MemoryPlan")
struct MemoryPlanTests {
    private let cost = MemoryPlan.Cost(bytesPerToken: 1_000, bytesPerSequence: 50, fixedBytes: 7)

    private func plan(_ memory: UInt64, context: Int, wanted: Bool = true, sequences: Int) -> MemoryPlan? {
        MemoryPlan(cost, contextTokens: context, isContextWanted: wanted, sequences: sequences) { $0 <= memory }
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

    @Test("figures beyond every memory are too many, not few")
    func overflow() {
        let cost = MemoryPlan.Cost(bytesPerToken: .max / 2, bytesPerSequence: .max, fixedBytes: 1)
        #expect(cost.bytes(contextTokens: 3, sequences: 3) == .max)
    }
}
