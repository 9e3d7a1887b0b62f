/// The caches of the sequences, and the contents of the free ones: the next turn of a conversation finds its beginning
/// computed, and so does a prompt that begins as another one did. Tokens computed for one scope are never used for
/// another, and those computed for none are not kept.
package struct CacheTable: Sendable {
    /// The contents of a cache whose sequence has ended.
    package struct Kept: Equatable, Sendable {
        /// The scope that it was computed for; at most 32 bytes, empty for none.
        package var scope: [UInt8]
        /// The computed tokens of prompt and completion.
        package var tokens: [Int32]
        /// The number of the prompt's tokens among them.
        package var promptTokens: Int

        package init(scope: [UInt8], tokens: [Int32], promptTokens: Int) {
            self.scope = scope
            self.tokens = tokens
            self.promptTokens = promptTokens
        }
    }

    /// A cache that a prompt is given.
    package struct Taken: Equatable, Sendable {
        package var cache: Int
        /// The number of tokens of the prompt's beginning that it holds.
        package var held: Int
        /// Another cache that holds more of the beginning, or will.
        package var source: Source?

        package init(cache: Int, held: Int, source: Source? = nil) {
            self.cache = cache
            self.held = held
            self.source = source
        }
    }

    /// A cache of the same scope whose beginning a prompt shares.
    package struct Source: Equatable, Sendable {
        package var cache: Int
        package var tokens: Int
        /// Whether a sequence uses the cache, and may not have computed so many tokens yet.
        package var isInUse: Bool

        package init(cache: Int, tokens: Int, isInUse: Bool) {
            self.cache = cache
            self.tokens = tokens
            self.isInUse = isInUse
        }
    }

    /// The contents of a cache are reused only if that saves at least this many tokens.
    package static let reusedTokensMin = 16

    private enum Entry {
        case inUse(scope: [UInt8], prompt: [Int32])
        case empty
        /// `used` counts the uses of all caches: the cache with the least number was used longest ago.
        case held(Kept, used: UInt64)
    }

    private var entries: [Entry]
    private var uses: UInt64 = 0

    package init(count: Int) { entries = Array(repeating: .empty, count: count) }

    /// Takes a free cache for a prompt, and finds computed tokens of its beginning: of the same scope only, and without
    /// the last token, which must be computed so that the next can be chosen. nil when no cache is free.
    ///
    /// It takes, in this order: the cache whose conversation the prompt continues; the first empty one, so that those
    /// in use lie next to each other; the one used longest ago.
    package mutating func take(for prompt: [Int32], scope: [UInt8]) -> Taken? {
        var own: Taken?
        var oldest: (taken: Taken, used: UInt64)?
        var empty: Int?
        var source: Source?
        for (cache, entry) in entries.enumerated() {
            switch entry {
            case .empty: empty = empty ?? cache
            case .inUse(let other, let tokens):
                let shared = shared(prompt, scope, with: tokens, other)
                if shared > source?.tokens ?? 0 { source = Source(cache: cache, tokens: shared, isInUse: true) }
            case .held(let kept, let used):
                let shared = shared(prompt, scope, with: kept.tokens, kept.scope)
                if used < oldest?.used ?? .max { oldest = (Taken(cache: cache, held: shared), used) }
                guard shared > 0 else { continue }
                // Computed tokens are better than those that are still being computed.
                if shared >= source?.tokens ?? 0 { source = Source(cache: cache, tokens: shared, isInUse: false) }
                // The last token of an old prompt is not counted where the new prompt is the same.
                if shared >= min(kept.promptTokens, prompt.count - 1), shared > own?.held ?? 0 {
                    own = Taken(cache: cache, held: shared)
                }
            }
        }
        guard var taken = own ?? empty.map({ Taken(cache: $0, held: 0) }) ?? oldest?.taken else { return nil }
        if let source, source.tokens >= taken.held + Self.reusedTokensMin { taken.source = source }
        entries[taken.cache] = .inUse(scope: scope, prompt: prompt)
        return taken
    }

    /// The number of tokens that a prompt may reuse of those computed for a scope; 0 when they are too few.
    private func shared(
        _ prompt: [Int32], _ scope: [UInt8], with tokens: [Int32], _ other: [UInt8]
    ) -> Int {
        guard !scope.isEmpty, scope == other else { return 0 }
        let count = commonPrefix(tokens, prompt.dropLast())
        return count >= Self.reusedTokensMin ? count : 0
    }

    /// Empties the free cache that was used longest ago, to leave its memory to those in use; nil when all free ones
    /// are empty.
    package mutating func emptyOldest() -> Int? {
        var oldest: (cache: Int, used: UInt64)?
        for (cache, entry) in entries.enumerated() {
            if case .held(_, let used) = entry, used < oldest?.used ?? .max { oldest = (cache, used) }
        }
        if let oldest { entries[oldest.cache] = .empty }
        return oldest?.cache
    }

    /// A cache is free again, and holds `kept`. Returns whether it goes on to: otherwise its contents are to be forgotten,
    /// so that others may have their cells.
    @discardableResult
    package mutating func giveBack(_ cache: Int, holding kept: Kept) -> Bool {
        guard !kept.scope.isEmpty, !kept.tokens.isEmpty else {
            entries[cache] = .empty
            return false
        }
        uses &+= 1
        entries[cache] = .held(kept, used: uses)
        return true
    }

    /// A cache is free again, and empty.
    package mutating func giveBackEmpty(_ cache: Int) { entries[cache] = .empty }
}

/// The length of the common beginning of both.
private func commonPrefix(_ a: [Int32], _ b: ArraySlice<Int32>) -> Int {
    var count = 0
    for (x, y) in zip(a, b) {
        if x != y { break }
        count += 1
    }
    return count
}
