/// Which cache each sequence has, and what the free ones still hold: the next turn of a conversation finds its
/// beginning computed.
struct CacheTable {
    /// A cache: the tokens that it holds while it is free, or nil while it is in use.
    private var kept: [[Int32]?]

    init(count: Int) { kept = Array(repeating: [], count: count) }

    /// Takes the free cache that holds most of the beginning of `prompt`, and says how many tokens of it. The last
    /// token is not counted: it must be computed, or nothing could be chosen after it. When nothing is worth keeping,
    /// the first free one, so that those in use lie next to each other. nil when none is free.
    mutating func take(for prompt: [Int32]) -> (cache: Int, held: Int)? {
        var best: (cache: Int, held: Int)?
        for (cache, tokens) in kept.enumerated() {
            guard let tokens else { continue }
            let held = commonPrefix(tokens, prompt.dropLast())
            if let best, held < Limits.reusedTokensMin || held <= best.held { continue }
            best = (cache, held)
        }
        if let best { kept[best.cache] = nil }
        return best
    }

    /// The cache is free again, and holds these tokens.
    mutating func giveBack(_ cache: Int, holding tokens: [Int32]) { kept[cache] = tokens }

    /// What a free cache holds was forgotten.
    mutating func forget(_ cache: Int) {
        if kept[cache] != nil { kept[cache] = [] }
    }
}

/// How many tokens are the same at the beginning of both.
private func commonPrefix(_ a: [Int32], _ b: ArraySlice<Int32>) -> Int {
    var count = 0
    for (x, y) in zip(a, b) {
        if x != y { break }
        count += 1
    }
    return count
}
