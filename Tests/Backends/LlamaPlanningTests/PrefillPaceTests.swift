import LlamaPlanning
import Testing

@Suite("PrefillPace")
struct PrefillPaceTests {
    /// The longest step of a prompt on a machine that takes this long for a token, and how many steps it took.
    private func longestStep(
        nanosecondsPerToken: UInt64, prompt: Int, _ company: PrefillPace.Company = .others(generating: 0)
    ) -> (longest: UInt64, steps: Int) {
        var pace = PrefillPace()
        var left = prompt
        var longest: UInt64 = 0
        var steps = 0
        while left > 0 {
            let tokens = min(left, pace.room(company, wanted: left))
            let needed = UInt64(tokens) * nanosecondsPerToken
            steps += 1
            let running = RunningStep(
                sequences: [0], promptTokens: tokens, company: company,
                expectedNanoseconds: pace.nanoseconds(promptTokens: tokens))
            if running.verdict(after: needed, cancelled: [], asking: []) == .isTooSlow {
                longest = max(longest, RunningStep.cutNanoseconds)
                pace.wasTooSlow(RunningStep.cutNanoseconds, promptTokens: tokens)
                continue
            }
            longest = max(longest, needed)
            pace.took(needed, promptTokens: tokens, company)
            left -= tokens
        }
        return (longest, steps)
    }

    @Test("a step that others wait for stays short on machines of every speed, from the first one on")
    func everySpeed() {
        for exponent in 0..<30 {
            let perToken = UInt64(1_000) << UInt64(exponent / 2)
            let (longest, steps) = longestStep(nanosecondsPerToken: perToken, prompt: 4_000)
            #expect(
                longest <= max(RunningStep.cutNanoseconds, perToken * UInt64(PrefillPace.tokensMin)), "\(perToken)")
            #expect(steps <= 4_000)
        }
    }

    @Test("a quick machine computes long prompts in few steps, and a slower one does where nobody else waits")
    func quick() {
        #expect(longestStep(nanosecondsPerToken: 10_000, prompt: 4_000).steps < 15)
        #expect(longestStep(nanosecondsPerToken: 10_000_000, prompt: 4_000, .alone).steps < 15)
    }

    @Test("where nobody else waits a step takes its time at most, however slow the machine")
    func aloneOnSlowMachines() {
        for exponent in 0..<30 {
            let perToken = UInt64(1_000) << UInt64(exponent)
            let (longest, _) = longestStep(nanosecondsPerToken: perToken, prompt: 4_000, .alone)
            // The first step is as slow as it is; after it the measured time holds, rounded to what attention takes at once.
            let first = perToken * UInt64(PrefillPace.tokensFirst)
            #expect(longest <= max(first, PrefillPace.Company.alone.stepNanoseconds * 2), "\(perToken)")
        }
    }

    @Test("the first steps are small, and each next one at most twice as long")
    func beginsSmall() {
        var pace = PrefillPace()
        var rooms: [Int] = []
        for _ in 0..<8 {
            rooms.append(pace.room(.alone))
            pace.took(1_000, promptTokens: pace.room(.alone), .alone)
        }
        #expect(rooms.first == PrefillPace.tokensFirst)
        #expect(zip(rooms, rooms.dropFirst()).allSatisfy { $1 <= max(2 * $0, 64) })
        #expect(rooms.last == PrefillPace.tokensMax)
    }

    @Test("a short prompt is computed at once, and a longer one in steps")
    func leftOver() {
        var pace = PrefillPace()
        let company = PrefillPace.Company.others(generating: 3)
        #expect(pace.room(company, wanted: 17) == PrefillPace.tokensFirst, "but not before that was tried")
        for _ in 0..<10 { pace.took(UInt64(pace.room(.alone)) * 5_000_000, promptTokens: pace.room(.alone), .alone) }
        #expect(pace.room(company) == 128)
        #expect(pace.room(company, wanted: 100) == 100)
        #expect(pace.room(company, wanted: 397) == 397)
        #expect(pace.room(company, wanted: 398) == 128)
        #expect(pace.room(company, wanted: 197, prompts: 2) == 197)
        #expect(pace.room(company, wanted: 198, prompts: 2) == 128, "the shortest of several does not wait for all")
        #expect(pace.room(.others(generating: 149), wanted: 252) == 74)
        #expect(pace.room(.alone, wanted: 513) == PrefillPace.tokensMax)
    }

    @Test("short prompts say nothing about how long a long one takes")
    func shortPrompts() {
        var pace = PrefillPace()
        for _ in 0..<100 { pace.took(1_000, promptTokens: 2, .alone) }
        #expect(pace.room(.alone) == PrefillPace.tokensFirst)
        for _ in 0..<10 { pace.took(1_000_000, promptTokens: pace.room(.alone), .alone) }
        let long = pace.room(.alone)
        for _ in 0..<100 { pace.took(100_000_000, promptTokens: 2, .alone) }
        #expect(pace.room(.alone) == long, "slow for each of its few tokens, and still short")
    }

    @Test("who comes beside a long prompt finds short steps at once")
    func othersCome() {
        var pace = PrefillPace()
        for _ in 0..<10 { pace.took(UInt64(pace.room(.alone)) * 5_000_000, promptTokens: pace.room(.alone), .alone) }
        #expect(pace.room(.alone) == PrefillPace.tokensMax)
        let beside = pace.room(.others(generating: 1))
        #expect(pace.nanoseconds(promptTokens: beside) <= PrefillPace.Company.others(generating: 1).stepNanoseconds * 2)
        #expect(pace.room(.alone) == PrefillPace.tokensMax, "and nothing is forgotten when they have gone")
    }

    @Test("what generates beside a prompt does not count as the prompt's slowness, but takes of its time")
    func besideSome() {
        var pace = PrefillPace()
        let some = PrefillPace.Company.others(generating: 16)
        let perToken: UInt64 = 10_000_000
        for _ in 0..<10 {
            let tokens = pace.room(some)
            pace.took(UInt64(tokens + 16) * perToken, promptTokens: tokens, some)
        }
        #expect(pace.nanoseconds(promptTokens: 1) == perToken)
        #expect(pace.room(some) == 64)
        #expect(pace.room(.alone) > 64)
    }

    @Test("after a step was cut fewer are tried, never fewer than some")
    func cuts() {
        var pace = PrefillPace()
        for _ in 0..<10 { pace.took(1_000_000, promptTokens: pace.room(.alone), .alone) }
        pace.wasCut(promptTokens: 512)
        #expect(pace.room(.alone) == 128)
        pace.wasTooSlow(10_000_000_000, promptTokens: 100)
        #expect(pace.room(.others(generating: 0)) <= 25)
        for _ in 0..<10 { pace.wasTooSlow(10_000_000_000, promptTokens: 16) }
        #expect(pace.room(.others(generating: 0)) == PrefillPace.tokensMin)
    }

    @Test("beside many sequences that generate, prompts have a third of the step however long it takes")
    func besideMany() {
        var pace = PrefillPace()
        let many = PrefillPace.Company.others(generating: 200)
        for _ in 0..<20 { pace.took(many.stepNanoseconds * 200, promptTokens: pace.room(many), many) }
        #expect(pace.room(many) == 100)
        #expect(pace.room(.others(generating: 0)) == PrefillPace.tokensMin)
    }
}
