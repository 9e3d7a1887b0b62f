/// How many prompt tokens a step computes, so that it keeps to its time on any machine: begins with few, and takes as many
/// as measured, at most twice what was tried.
package struct PrefillPace: Equatable, Sendable {
    /// The first steps compute this many: nobody knows yet how fast the machine is.
    package static let tokensFirst = 16
    /// Never fewer, however long they take, or prompts would not get there.
    package static let tokensMin = 4
    /// As many as llama.cpp computes in one pass over the weights.
    package static let tokensMax = 512
    /// Attention is computed for so many tokens at once, where there are as many: half of them take almost as long.
    private static let tokensTile = 64

    /// Who waits for a step that computes prompts.
    package enum Company: Equatable, Sendable {
        /// Nobody but the one whose prompt it is.
        case alone
        /// Others, of which so many generate: they go on, and others begin, after the step.
        case others(generating: Int)

        /// What a step should take. Alone it may take long: who comes meanwhile ends it.
        package var stepNanoseconds: UInt64 {
            switch self {
            case .alone: 8_000_000_000
            case .others: 750_000_000
            }
        }

        fileprivate var generating: Int {
            switch self {
            case .alone: 0
            case .others(let generating): generating
            }
        }

        /// The prompts' room however long it takes: they would starve if so many that generate alone took longer than a
        /// step should.
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

    /// The room for prompts in the next step.
    package func room(_ company: Company) -> Int {
        let fitting = nanosecondsPerToken == 0 ? .max : Int(clamping: company.stepNanoseconds / nanosecondsPerToken)
        // What generates is one token each, and takes as long as one of a prompt.
        var tokens = min(tokensTried, fitting - company.generating)
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
