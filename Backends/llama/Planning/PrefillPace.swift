/// How many prompt tokens a step computes, so that it stays short on any machine: begins with few, doubles while that is
/// quick, and halves while it is slow. A step that takes far too long is cut and done again with fewer.
package struct PrefillPace: Equatable, Sendable {
    /// The first steps compute this many: nobody knows yet how fast the machine is.
    package static let tokensFirst = 16
    /// Never fewer, however long they take, or prompts would not get there.
    package static let tokensMin = 4
    /// A step that computes prompts should take no longer: cancels and pings are seen between steps.
    package static let stepNanoseconds: UInt64 = 200_000_000
    /// A step that has taken this long is cut, if a smaller one is possible.
    package static let cutNanoseconds: UInt64 = 1_000_000_000

    /// Prompt tokens of the next step.
    package private(set) var tokens = min(tokensFirst, tokensMax)
    private static let tokensMax = 512

    package init() {}

    /// The room for prompts beside sequences that generate: they would starve if many of these alone took longer than a
    /// step should.
    package func room(beside generating: Int) -> Int { max(tokens, generating / 2) }

    /// Whether a step with this many prompt tokens must be cut.
    package func mustCut(after nanoseconds: UInt64, promptTokens: Int, beside generating: Int) -> Bool {
        nanoseconds > Self.cutNanoseconds && promptTokens > max(Self.tokensMin, generating / 2)
    }

    /// A step with this many prompt tokens was computed.
    package mutating func took(_ nanoseconds: UInt64, promptTokens: Int) {
        if nanoseconds > Self.stepNanoseconds {
            tokens = max(Self.tokensMin, min(tokens, promptTokens) / 2)
        } else if nanoseconds < Self.stepNanoseconds / 4, promptTokens * 2 > tokens {
            // A step of fewer says nothing about one of more.
            tokens = min(Self.tokensMax, tokens * 2)
        }
    }

    /// A step with this many prompt tokens was cut.
    package mutating func wasCut(promptTokens: Int) { tokens = max(Self.tokensMin, promptTokens / 4) }
}
