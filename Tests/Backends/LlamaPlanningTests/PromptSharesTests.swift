import LlamaPlanning
import Testing

@Suite("PromptShares")
struct PromptSharesTests {
    private func shares(_ room: Int, _ tokens: [Int]) -> [Int: Int] {
        let prompts = tokens.enumerated().map {
            PromptShares.Prompt(sequence: $0.offset, arrival: UInt64($0.offset), tokens: $0.element)
        }
        return PromptShares(room: room, among: prompts).tokens
    }

    @Test("two tokens do not wait for thousands that came before")
    func short() {
        #expect(shares(512, [8_000, 2]) == [0: 510, 1: 2])
        #expect(shares(16, [8_000, 8_000, 2]) == [0: 14, 2: 2])
    }

    @Test("half of the room is the oldest's, however many short ones come")
    func oldest() {
        let shares = shares(64, [8_000] + Array(repeating: 20, count: 50))
        #expect(shares[0] == 32)
        #expect(shares.values.reduce(0, +) == 64)
    }

    @Test("no room is wasted, and none is given twice", arguments: 0..<200 as Range<UInt64>)
    func sums(seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        func next(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        let tokens = (0..<next(10)).map { _ in 1 + next(300) }
        let room = next(600)
        let shares = shares(room, tokens)
        #expect(shares.values.reduce(0, +) == min(room, tokens.reduce(0, +)))
        #expect(shares.allSatisfy { $0.value > 0 && $0.value <= tokens[$0.key] })
    }

    @Test("every prompt gets there, though shorter ones keep coming")
    func nobodyStarves() {
        var left = 1_000
        var steps = 0
        while left > 0, steps < 1_000 {
            let prompts = [
                PromptShares.Prompt(sequence: 0, arrival: 0, tokens: left),
                PromptShares.Prompt(sequence: 1, arrival: UInt64(steps + 1), tokens: 8),
                PromptShares.Prompt(sequence: 2, arrival: UInt64(steps + 2), tokens: 8),
            ]
            left -= PromptShares(room: 8, among: prompts).tokens[0] ?? 0
            steps += 1
        }
        #expect(left == 0)
        #expect(steps <= 250)
    }
}
