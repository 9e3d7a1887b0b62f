/// How many tokens a draft model computes at once to catch up with what the model knows of a sequence: as many as take as
/// long as a step of the model, so that the tokens of a stream come half as fast meanwhile, and nothing waits longer than
/// for another step.
package struct CatchUpPace: Equatable, Sendable {
    /// As many at first, and always.
    package static let tokensMin = 16
    package static let tokensMax = 512
    /// This long is short enough even where a step is shorter.
    package static let nanosecondsMin: Double = 20_000_000

    /// What a token takes among many; nil before it was measured.
    private var tokenNanoseconds: Double?

    package init() {}

    /// The most tokens to compute beside a step of the model that takes so long.
    package func room(stepNanoseconds: Double) -> Int {
        guard let tokenNanoseconds else { return Self.tokensMin }
        let tokens = max(stepNanoseconds, Self.nanosecondsMin) / tokenNanoseconds
        return max(Self.tokensMin, Int(min(tokens, Double(Self.tokensMax))))
    }

    /// Whether a sequence that has room for `left` more tokens is worth computing `backlog` tokens first: these may take half
    /// of the time that the model itself takes for those.
    package func pays(backlog: Int, left: Int, stepNanoseconds: Double) -> Bool {
        nanoseconds(tokens: backlog) <= Double(left) * stepNanoseconds / 2
    }

    /// What so many tokens add to a batch; 0 before it was measured.
    package func nanoseconds(tokens: Int) -> Double { Double(max(0, tokens)) * (tokenNanoseconds ?? 0) }

    /// A batch of so many tokens was computed.
    package mutating func took(_ nanoseconds: UInt64, tokens: Int) {
        guard tokens >= Self.tokensMin else { return }
        let measured = max(1, Double(nanoseconds) / Double(tokens))
        tokenNanoseconds = tokenNanoseconds.map { $0 + (measured - $0) / 2 } ?? measured
    }
}
