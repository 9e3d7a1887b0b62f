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

    @Test("what a context costs follows from three that were measured")
    func measured() {
        func measure(_ tokens: UInt64, _ sequences: UInt64) -> UInt64 { (tokens * 1_000 + 50) * sequences + 7 }
        let measured = MemoryPlan.Cost(
            contextTokens: 8_192, one: measure(8_192, 1), two: measure(8_192, 2), half: measure(4_096, 1))
        #expect(measured == cost)
        for (tokens, sequences) in [(1, 1), (512, 64), (131_072, 3)] as [(Int, Int)] {
            let needed = measured.bytes(contextTokens: tokens, sequences: sequences)
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
        #expect(cost.bytes(contextTokens: 3, sequences: 3) == .max)
    }
}
