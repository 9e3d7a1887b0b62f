/// The number of sequences, their context, and the cells of their caches that there is memory for.
package struct MemoryPlan: Equatable, Sendable {
    /// The memory that a context costs, from llama.cpp's figures for contexts that it only measured.
    package struct Cost: Equatable, Sendable {
        /// For one cell of a cache: keys and values of a token in all layers, and the buffers of attention.
        package var bytesPerToken: UInt64
        /// For one sequence whatever its length: logits, and a state that does not grow.
        package var bytesPerSequence: UInt64
        /// Graphs and intermediate results, whatever the number of sequences.
        package var fixedBytes: UInt64

        package init(bytesPerToken: UInt64 = 0, bytesPerSequence: UInt64 = 0, fixedBytes: UInt64 = 0) {
            self.bytesPerToken = bytesPerToken
            self.bytesPerSequence = bytesPerSequence
            self.fixedBytes = fixedBytes
        }

        /// Derived from the memory of three contexts: one of a length for one sequence, one of it for two, and one of
        /// half the length.
        package init(contextTokens: Int, one: UInt64, two: UInt64, half: UInt64) {
            func difference(_ more: UInt64, _ less: UInt64) -> UInt64 { more > less ? more - less : 0 }
            bytesPerToken = difference(one, half) / UInt64(max(1, contextTokens - contextTokens / 2))
            let tokens = UInt64(contextTokens) * bytesPerToken
            bytesPerSequence = difference(difference(two, one), tokens)
            fixedBytes = difference(one, tokens + bytesPerSequence)
        }

        /// Adds what another model's context costs, of the same cells and sequences.
        package static func += (cost: inout Cost, other: Cost) {
            func add(_ field: WritableKeyPath<Cost, UInt64>) {
                let (sum, overflow) = cost[keyPath: field].addingReportingOverflow(other[keyPath: field])
                cost[keyPath: field] = overflow ? .max : sum
            }
            add(\.bytesPerToken)
            add(\.bytesPerSequence)
            add(\.fixedBytes)
        }

        /// The memory of a context with so many cells for all sequences together.
        package func bytes(cells: Int, sequences: Int) -> UInt64 {
            let (tokens, overflow) = UInt64(cells).multipliedReportingOverflow(by: bytesPerToken)
            let (states, more) = UInt64(sequences).multipliedReportingOverflow(by: bytesPerSequence)
            let (both, most) = tokens.addingReportingOverflow(states)
            let (sum, last) = both.addingReportingOverflow(fixedBytes)
            return overflow || more || most || last ? .max : sum
        }
    }

    /// What the owner and the model would have.
    package struct Wish: Equatable, Sendable {
        /// The context of a sequence: the owner's, or the usual one, which then is the least that is tried for.
        package var contextTokens: Int
        /// Whether the owner set it, so that it becomes neither shorter nor longer.
        package var isContextWanted: Bool
        /// At least 1.
        package var sequences: Int
        /// The cells of a cache that all share; nil: each sequence has as many as its context is long.
        package var sharedCells: Int?
        /// The longest context of a sequence that shares cells, where the owner did not set it.
        package var longestTokens: Int

        package init(
            contextTokens: Int, isContextWanted: Bool, sequences: Int, sharedCells: Int?, longestTokens: Int
        ) {
            self.contextTokens = contextTokens
            self.isContextWanted = isContextWanted
            self.sequences = sequences
            self.sharedCells = sharedCells
            self.longestTokens = longestTokens
        }
    }

    /// A context whose length the owner did not set is not made shorter than this.
    package static let contextTokensMin = 512

    package private(set) var contextTokens: Int
    package private(set) var sequences: Int
    /// The cells of all caches together.
    package private(set) var cells: Int
    private let wish: Wish

    package var isShared: Bool { wish.sharedCells != nil }

    /// The most that `fits` finds memory for. Where caches are separate, as many sequences as there is room for. Where cells
    /// are shared, as many sequences as one context of them has room for, and then as many cells as there is room for: each
    /// attempt has an eighth fewer. If there is no room for one sequence, a context whose length the owner did not set is
    /// halved until there is. nil when that does not help either.
    package init?(_ cost: Cost, _ wish: Wish, fits: (UInt64) -> Bool) {
        self.wish = wish
        contextTokens = wish.contextTokens
        while !fits(cost.bytes(cells: contextTokens, sequences: 1)) {
            guard !wish.isContextWanted, contextTokens / 2 >= Self.contextTokensMin else { return nil }
            contextTokens /= 2
        }
        let context = contextTokens
        let each = wish.sharedCells == nil ? context : 0
        sequences =
            1
            + Int(
                Self.most(below: UInt64(max(1, wish.sequences))) {
                    fits(cost.bytes(cells: context + each * Int($0), sequences: Int($0) + 1))
                })
        cells = max(context, wish.sharedCells ?? context * sequences)
        guard isShared else { return }
        while cells > context, !fits(cost.bytes(cells: cells, sequences: sequences)) {
            cells = max(context, cells - max(1, cells / 8))
        }
        if !wish.isContextWanted { contextTokens = max(context, min(wish.longestTokens, cells)) }
    }

    /// The next smaller plan, where memory was lacking against all figures; nil when there is none.
    package var smaller: MemoryPlan? {
        var less = self
        if isShared, cells / 2 >= (wish.isContextWanted ? contextTokens : Self.contextTokensMin) {
            less.cells /= 2
            less.contextTokens = min(contextTokens, less.cells)
            return less
        }
        guard sequences > 1 else { return nil }
        less.sequences /= 2
        if !isShared { less.cells = contextTokens * less.sequences }
        return less
    }

    /// Whether to copy weights into another order, for quicker kernels: only if that costs no sequence and no token of
    /// this plan.
    package func hasRoom(forCopies withCopies: MemoryPlan?) -> Bool { withCopies == self }

    /// The highest number below `bound` that fits; 0 when none does. Every number below one that fits must fit.
    package static func most(below bound: UInt64, fits: (UInt64) -> Bool) -> UInt64 {
        var fitting: UInt64 = 0
        var tooMany = bound
        while tooMany > fitting + 1 {
            let middle = fitting + (tooMany - fitting) / 2
            if fits(middle) { fitting = middle } else { tooMany = middle }
        }
        return fitting
    }
}
