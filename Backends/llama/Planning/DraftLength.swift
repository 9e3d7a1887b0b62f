/// How many tokens are drafted for a sequence in a step: as many as were accepted before, and twice as many when all
/// were. A sequence whose drafts are refused pauses, for longer each time.
package struct DraftLength: Equatable, Sendable {
    /// The most drafted tokens of a step, all its sequences together.
    package static let tokensMax = 12
    /// With more sequences nothing is drafted: their own tokens use the processor well.
    package static let sequencesMax = 3
    private static let tokensFirst = 3
    /// The longest pause, in steps.
    package static let pauseMax = 64

    private var tokens = tokensFirst
    /// Drafts in a row of which nothing was accepted.
    private var misses = 0
    private var pause = 0

    package init() {}

    /// The most tokens to draft now, where so many sequences are computed.
    package func tokens(beside sequences: Int) -> Int {
        guard pause == 0, (1...Self.sequencesMax).contains(sequences) else { return 0 }
        return min(tokens, Self.tokensMax / sequences)
    }

    /// A step was computed, with so many drafted tokens, of which so many were accepted.
    package mutating func took(drafted: Int, accepted: Int) {
        guard drafted > 0 else {
            pause = max(0, pause - 1)
            return
        }
        if accepted == 0 {
            misses = min(misses + 1, 16)
            tokens = max(1, tokens / 2)
            pause = misses > 1 ? min(1 << misses, Self.pauseMax) : 0
        } else {
            misses = 0
            tokens = accepted == drafted ? min(max(tokens, drafted * 2), Self.tokensMax) : accepted
        }
    }
}
