import LlamaPlanning
import Testing

@Suite("RunningStep")
struct RunningStepTests {
    private let second: UInt64 = 1_000_000_000

    private func step(
        _ sequences: [Int] = [3], promptTokens: Int = 512, _ company: PrefillPace.Company = .alone, expected: UInt64 = 0
    ) -> RunningStep {
        RunningStep(sequences: sequences, promptTokens: promptTokens, company: company, expectedNanoseconds: expected)
    }

    @Test("a step goes on while those it computes for are wanted and nobody waits, however long it takes")
    func goesOn() {
        #expect(step().verdict(after: 1_000 * second, cancelled: [], asking: []) == .goOn)
        #expect(step().verdict(after: 1_000 * second, cancelled: [], asking: [3]) == .goOn, "its own credit")
    }

    @Test("it ends when nobody wants it any more, and not while one does")
    func cancels() {
        #expect(step().verdict(after: 0, cancelled: [3], asking: []) == .isUnwanted)
        let two = step([3, 5], .others(generating: 1))
        #expect(two.verdict(after: 0, cancelled: [3], asking: []) == .goOn)
        #expect(two.verdict(after: 0, cancelled: [5, 3], asking: []) == .isUnwanted)
        #expect(step(promptTokens: 0).verdict(after: 0, cancelled: [3], asking: []) == .isUnwanted)
    }

    @Test("a long step gives way to who comes meanwhile, unless it is soon done or small")
    func newcomers() {
        let long = step(expected: 8 * second)
        #expect(long.verdict(after: second, cancelled: [], asking: [4]) == .isInTheWay)
        #expect(long.verdict(after: 8 * second - 1, cancelled: [], asking: [4]) == .goOn)
        #expect(long.verdict(after: 8 * second + 1, cancelled: [], asking: [4]) == .isInTheWay, "it should be done")
        #expect(step(expected: second / 4).verdict(after: 0, cancelled: [], asking: [4]) == .goOn)
        let small = step(promptTokens: PrefillPace.tokensMin, expected: 8 * second)
        #expect(small.verdict(after: second, cancelled: [], asking: [4]) == .goOn, "a smaller one is not to be had")
        // The first step of all: nobody knows what it takes.
        #expect(step().verdict(after: 1, cancelled: [], asking: [4]) == .goOn)
        #expect(step().verdict(after: second, cancelled: [], asking: [4]) == .isInTheWay)
    }

    @Test("beside others a step that takes too long is cut only if it can be smaller")
    func tooSlow() {
        let long = RunningStep.cutNanoseconds + 1
        let others = PrefillPace.Company.others(generating: 0)
        #expect(step(promptTokens: 16, others).verdict(after: long - 1, cancelled: [], asking: []) == .goOn)
        #expect(step(promptTokens: 16, others).verdict(after: long, cancelled: [], asking: []) == .isTooSlow)
        #expect(step(promptTokens: 4, others).verdict(after: long * 100, cancelled: [], asking: []) == .goOn)
        let generating = step(promptTokens: 0, .others(generating: 100))
        #expect(
            generating.verdict(after: long * 100, cancelled: [], asking: []) == .goOn,
            "what generates is one token each")
    }
}
