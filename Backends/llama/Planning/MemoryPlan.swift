/// The number of sequences, and their context, that there is memory for.
package struct MemoryPlan: Equatable, Sendable {
    /// The memory that a context costs, from llama.cpp's figures for contexts that it only measured.
    package struct Cost: Equatable, Sendable {
        /// For one token of one sequence: keys and values in all layers, and the buffers of attention.
        package var bytesPerToken: UInt64
        /// For one sequence whatever its length: logits, and a state that does not grow.
        package var bytesPerSequence: UInt64
        /// Graphs and intermediate results, whatever the number of sequences.
        package var fixedBytes: UInt64

        package init(bytesPerToken: UInt64, bytesPerSequence: UInt64, fixedBytes: UInt64) {
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

        package func bytes(contextTokens: Int, sequences: Int) -> UInt64 {
            let (cells, overflow) = UInt64(contextTokens).multipliedReportingOverflow(by: bytesPerToken)
            let (sequence, more) = cells.addingReportingOverflow(bytesPerSequence)
            let (all, most) = sequence.multipliedReportingOverflow(by: UInt64(sequences))
            let (sum, last) = all.addingReportingOverflow(fixedBytes)
            return overflow || more || most || last ? .max : sum
        }
    }

    /// A context whose length the owner did not set is not made shorter than this.
    package static let contextTokensMin = 512

    package private(set) var contextTokens: Int
    package private(set) var sequences: Int

    /// The most sequences, up to `sequences`, that `fits` finds memory for. If there is no room for one, a context
    /// whose length the owner did not set is halved until there is. nil when that does not help either.
    package init?(
        _ cost: Cost, contextTokens: Int, isContextWanted: Bool, sequences: Int, fits: (UInt64) -> Bool
    ) {
        self.contextTokens = contextTokens
        self.sequences = max(1, sequences)
        while !fits(cost.bytes(contextTokens: self.contextTokens, sequences: 1)) {
            guard !isContextWanted, self.contextTokens / 2 >= Self.contextTokensMin else { return nil }
            self.contextTokens /= 2
        }
        let context = self.contextTokens
        let extra = Self.most(below: UInt64(self.sequences)) {
            $0 < 1 || fits(cost.bytes(contextTokens: context, sequences: Int($0) + 1))
        }
        self.sequences = Int(extra) + 1
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
