/// A beginning that a prompt has in common with the one of an earlier sequence, which runs and is of the same scope: it is
/// computed once, by the earlier one, and taken over when it is there.
package struct SharedBeginning: Equatable, Sendable {
    /// What the sequence that came later does now.
    package enum Next: Equatable, Sendable {
        /// The earlier one computes it.
        case wait
        /// This many tokens are taken over, and the rest is computed.
        case take(tokens: Int)
        /// It computes all by itself.
        case compute
    }

    /// How many tokens both begin with, but for the last of the later one.
    package let tokens: Int
    /// The cache of the earlier sequence.
    package let cache: Int

    package init(tokens: Int, cache: Int) {
        self.tokens = tokens
        self.cache = cache
    }

    /// `computed`: how much of its prompt the earlier sequence has computed; nil when what it computed is gone. `goesOn`: it
    /// may compute in this step. `held`: what the later one has anyway.
    package func next(computed: Int?, goesOn: Bool, held: Int) -> Next {
        guard let computed else { return .compute }
        if goesOn, computed < tokens { return .wait }
        let shared = min(computed, tokens)
        return shared >= held + CacheTable.reusedTokensMin ? .take(tokens: shared) : .compute
    }
}
