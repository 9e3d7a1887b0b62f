/// A beginning that a prompt shares with that of an earlier sequence, which runs and is of the same scope: the earlier
/// one computes it, and the later one takes it over when it is there.
package struct SharedBeginning: Equatable, Sendable {
    /// The next action of the later sequence.
    package enum Next: Equatable, Sendable {
        /// Wait: the earlier sequence computes the beginning.
        case wait
        /// Take over this many tokens, and compute the rest.
        case take(tokens: Int)
        /// Compute all tokens by itself.
        case compute
    }

    /// The length of the common beginning, without the last token of the later prompt.
    package let tokens: Int
    /// The cache of the earlier sequence.
    package let cache: Int

    package init(tokens: Int, cache: Int) {
        self.tokens = tokens
        self.cache = cache
    }

    /// `computed`: the tokens of its prompt that the earlier sequence has computed; nil when they are gone. `goesOn`:
    /// it may compute in this step. `held`: the tokens that the later one has anyway.
    package func next(computed: Int?, goesOn: Bool, held: Int) -> Next {
        guard let computed else { return .compute }
        if goesOn, computed < tokens { return .wait }
        let shared = min(computed, tokens)
        return shared >= held + CacheTable.reusedTokensMin ? .take(tokens: shared) : .compute
    }
}
