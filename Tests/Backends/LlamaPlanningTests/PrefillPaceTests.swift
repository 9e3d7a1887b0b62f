import LlamaPlanning
import Testing

@Suite("PrefillPace")
struct PrefillPaceTests {
    /// The longest step of a prompt on a machine that takes this long for a token, and how many steps it took.
    private func longestStep(nanosecondsPerToken: UInt64, prompt: Int) -> (longest: UInt64, steps: Int) {
        var pace = PrefillPace()
        var left = prompt
        var longest: UInt64 = 0
        var steps = 0
        while left > 0 {
            let tokens = min(left, pace.room(beside: 0))
            let needed = UInt64(tokens) * nanosecondsPerToken
            steps += 1
            if pace.mustCut(after: needed, promptTokens: tokens, beside: 0) {
                longest = max(longest, PrefillPace.cutNanoseconds)
                pace.wasCut(promptTokens: tokens)
                continue
            }
            longest = max(longest, needed)
            pace.took(needed, promptTokens: tokens)
            left -= tokens
        }
        return (longest, steps)
    }

    @Test("a step stays short on machines of every speed, from the first one on")
    func everySpeed() {
        for exponent in 0..<30 {
            let perToken = UInt64(1_000) << UInt64(exponent / 2)
            let (longest, steps) = longestStep(nanosecondsPerToken: perToken, prompt: 4_000)
            #expect(
                longest <= max(PrefillPace.cutNanoseconds, perToken * UInt64(PrefillPace.tokensMin)), "\(perToken)")
            #expect(steps <= 4_000)
        }
    }

    @Test("a quick machine computes long prompts in few steps")
    func quick() {
        #expect(longestStep(nanosecondsPerToken: 10_000, prompt: 4_000).steps < 15)
    }

    @Test("short prompts say nothing about how long a long one takes")
    func shortPrompts() {
        var pace = PrefillPace()
        for _ in 0..<100 { pace.took(1_000, promptTokens: 2) }
        #expect(pace.tokens == PrefillPace.tokensFirst)
    }

    @Test("a step that takes too long is cut only if it can be smaller, and the next one is")
    func cuts() {
        var pace = PrefillPace()
        let long = PrefillPace.cutNanoseconds + 1
        #expect(!pace.mustCut(after: long - 1, promptTokens: 16, beside: 0))
        #expect(pace.mustCut(after: long, promptTokens: 16, beside: 0))
        pace.wasCut(promptTokens: 16)
        #expect(pace.tokens == PrefillPace.tokensMin)
        #expect(!pace.mustCut(after: long * 100, promptTokens: pace.tokens, beside: 0))
        #expect(!pace.mustCut(after: long * 100, promptTokens: 0, beside: 100), "what generates is one token each")
    }

    @Test("beside many sequences that generate, prompts have a third of the step however long it takes")
    func besideMany() {
        var pace = PrefillPace()
        for _ in 0..<20 { pace.took(PrefillPace.stepNanoseconds * 2, promptTokens: pace.room(beside: 200)) }
        #expect(pace.room(beside: 200) == 100)
        #expect(pace.room(beside: 0) == PrefillPace.tokensMin)
    }
}
