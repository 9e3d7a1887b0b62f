/// Which cache each sequence has, and what the free ones still hold: the next turn of a conversation finds its beginning
/// computed. What was computed for one scope is never used for another, and what was computed for none is not kept.
package struct CacheTable: Sendable {
    /// What a cache holds of a sequence that has ended.
    package struct Kept: Equatable, Sendable {
        /// For whom it was computed; at most 32 bytes, empty for nobody.
        package var scope: [UInt8]
        /// Prompt and completion, as far as they were computed.
        package var tokens: [Int32]
        /// How many of them are the prompt's.
        package var promptTokens: Int

        package init(scope: [UInt8], tokens: [Int32], promptTokens: Int) {
            self.scope = scope
            self.tokens = tokens
            self.promptTokens = promptTokens
        }
    }

    /// A free cache is chosen for what it holds only if that saves at least this many tokens.
    package static let reusedTokensMin = 16

    private enum Entry {
        case inUse
        case empty
        /// `used` counts the uses of all caches: the least is the longest ago.
        case held(Kept, used: UInt64)
    }

    private var entries: [Entry]
    private var uses: UInt64 = 0

    package init(count: Int) { entries = Array(repeating: .empty, count: count) }

    /// Takes a free cache for a prompt, and says how many tokens of its beginning the cache holds: those of the same
    /// scope only, and not the last, which must be computed or nothing could be chosen after it. nil when none is free.
    ///
    /// In this order: the cache whose conversation the prompt continues; an empty one, of these the first, so that those
    /// in use lie next to each other; the one that holds most of the prompt's beginning; the one used longest ago.
    package mutating func take(for prompt: [Int32], scope: [UInt8]) -> (cache: Int, held: Int)? {
        var own: (cache: Int, held: Int)?
        var most: (cache: Int, held: Int)?
        var oldest: (cache: Int, used: UInt64)?
        var empty: Int?
        for (cache, entry) in entries.enumerated() {
            switch entry {
            case .inUse: continue
            case .empty: empty = empty ?? cache
            case .held(let kept, let used):
                if used < oldest?.used ?? .max { oldest = (cache, used) }
                guard !scope.isEmpty, kept.scope == scope else { continue }
                let held = commonPrefix(kept.tokens, prompt.dropLast())
                guard held >= Self.reusedTokensMin else { continue }
                if held > most?.held ?? 0 { most = (cache, held) }
                // The last token of an old prompt is not counted where the new prompt is the same.
                if held >= min(kept.promptTokens, prompt.count - 1), held > own?.held ?? 0 { own = (cache, held) }
            }
        }
        let taken = own ?? empty.map { ($0, 0) } ?? most ?? oldest.map { ($0.cache, 0) }
        if let taken { entries[taken.cache] = .inUse }
        return taken
    }

    /// A cache is free again, and holds this.
    package mutating func giveBack(_ cache: Int, holding kept: Kept) {
        guard !kept.scope.isEmpty, !kept.tokens.isEmpty else {
            entries[cache] = .empty
            return
        }
        uses &+= 1
        entries[cache] = .held(kept, used: uses)
    }

    /// A cache is free again, and what it holds was forgotten.
    package mutating func giveBackEmpty(_ cache: Int) { entries[cache] = .empty }
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
