/// How much the caches of a draft model hold. Each holds the first tokens of what the model's cache of the same number
/// holds, or fewer: it follows when tokens are drafted. Behind them there may be drafted tokens, until the model has
/// verified them.
package struct DraftCaches: Equatable, Sendable {
    /// The number of tokens in each.
    private var held: [Int]

    package init(count: Int) { held = Array(repeating: 0, count: count) }

    /// The number of tokens in a cache.
    package subscript(cache: Int) -> Int { held.indices.contains(cache) ? held[cache] : 0 }

    /// A cache holds so many tokens now.
    package mutating func computed(_ cache: Int, upTo tokens: Int) {
        guard held.indices.contains(cache) else { return }
        held[cache] = tokens
    }

    /// Only the first tokens of the model's cache go on to be what they were. Returns whether the draft model has to forget
    /// others.
    package mutating func keep(_ cache: Int, first tokens: Int) -> Bool {
        guard self[cache] > tokens else { return false }
        held[cache] = tokens
        return true
    }

    /// The model's cache holds the first tokens of another now. Returns how many of them the draft model is to copy; 0: it
    /// is to forget what the cache holds.
    package mutating func copy(_ cache: Int, to other: Int, tokens: Int) -> Int {
        guard held.indices.contains(other) else { return 0 }
        held[other] = min(tokens, self[cache])
        return held[other]
    }

    /// Empties all caches but some, to leave their cells to those; returns the numbers of those that held anything.
    package mutating func emptyOthers(than kept: [Int]) -> [Int] {
        let emptied = held.indices.filter { held[$0] > 0 && !kept.contains($0) }
        for cache in emptied { held[cache] = 0 }
        return emptied
    }
}
