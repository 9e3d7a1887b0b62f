/// The number of prompt tokens that a step computes, so that it keeps to its time on any machine: few at first, then as
/// many as measurements allow, at most twice as many as were tried.
package struct PrefillPace: Equatable, Sendable {
    /// The first steps compute this many, because the machine's speed is unknown yet.
    package static let tokensFirst = 16
    /// Never fewer, however long they take, or prompts would never be computed.
    package static let tokensMin = 4
    /// As many as llama.cpp computes in one pass over the weights.
    package static let tokensMax = 512
    /// Attention is computed for so many tokens at once, where there are as many: half of them take almost as long.
    private static let tokensTile = 64

    /// The sequences that wait for a step that computes prompts.
    package enum Company: Equatable, Sendable {
        /// None but the one whose prompt it is.
        case alone
        /// Others, of which so many generate; they go on or begin after the step.
        case others(generating: Int)

        /// The time that a step should take. A step that is alone may take long, because a new sequence ends it.
        package var stepNanoseconds: UInt64 {
            switch self {
            case .alone: 8_000_000_000
            case .others: 750_000_000
            }
        }

        /// The time that a step may take where nothing of so many prompts is left over after it: what is left over takes a step of
        /// its own, with a token of each sequence that generates, and its consumer waits for all of them. Where several wait,
        /// the shortest must not wait for all.
        fileprivate func wholeNanoseconds(prompts: Int) -> UInt64 {
            switch self {
            case .others where prompts == 1: 2_000_000_000
            case .alone, .others: stepNanoseconds / 3 * 4
            }
        }

        fileprivate var generating: Int {
            switch self {
            case .alone: 0
            case .others(let generating): generating
            }
        }

        /// The least room for prompts, however long it takes: they would starve if the sequences that generate took a
        /// step's time.
        package var tokensMin: Int {
            switch self {
            case .alone: PrefillPace.tokensMin
            case .others(let generating): max(PrefillPace.tokensMin, generating / 2)
            }
        }
    }

    /// The most tokens that a step tries next, whatever its time.
    private var tokensTried = tokensFirst
    /// 0 before the first step.
    private var nanosecondsPerToken: UInt64 = 0

    package init() {}

    /// The number of prompt tokens that the next step may compute. `wanted`: those of all prompts that are not computed; where
    /// they take little longer than a step should, and of a single prompt up to two seconds, all are computed at once.
    package func room(_ company: Company, wanted: Int = .max, prompts: Int = 1) -> Int {
        // Each sequence that generates has one token, which takes as long as one of a prompt.
        func fitting(_ nanoseconds: UInt64) -> Int {
            (nanosecondsPerToken == 0 ? .max : Int(clamping: nanoseconds / nanosecondsPerToken)) - company.generating
        }
        if wanted <= tokensTried, wanted <= fitting(company.wholeNanoseconds(prompts: prompts)) { return wanted }
        var tokens = min(tokensTried, fitting(company.stepNanoseconds))
        if tokens >= Self.tokensTile / 2 {
            tokens = (tokens + Self.tokensTile / 2) / Self.tokensTile * Self.tokensTile
        }
        return max(company.tokensMin, tokens)
    }

    /// How long a step with this many prompt tokens will take; 0 before the first.
    package func nanoseconds(promptTokens: Int) -> UInt64 {
        nanosecondsPerToken.multipliedReportingOverflow(by: UInt64(promptTokens)).partialValue
    }

    /// A step with this many prompt tokens was computed.
    package mutating func took(_ nanoseconds: UInt64, promptTokens: Int, _ company: Company) {
        // A step of fewer says nothing about one of more, unless it was slow.
        guard promptTokens > 0, promptTokens * 2 >= room(company) || nanoseconds > company.stepNanoseconds else {
            return
        }
        nanosecondsPerToken = max(1, nanoseconds / UInt64(promptTokens + company.generating))
        tokensTried = min(Self.tokensMax, max(tokensTried, promptTokens * 2))
    }

    /// A step with this many prompt tokens was cut, for whatever reason: fewer are tried.
    package mutating func wasCut(promptTokens: Int) { tokensTried = max(Self.tokensMin, promptTokens / 4) }

    /// A step with this many prompt tokens was cut after this time, which was too long.
    package mutating func wasTooSlow(_ nanoseconds: UInt64, promptTokens: Int) {
        guard promptTokens > 0 else { return }
        nanosecondsPerToken = max(1, nanoseconds / UInt64(promptTokens))
        wasCut(promptTokens: promptTokens)
    }
}
