/// A step while it is computed: whether it goes on. What was computed of one that is cut is lost.
package struct RunningStep: Equatable, Sendable {
    /// A step beside others that has taken this long is cut, if a smaller one is possible.
    package static let cutNanoseconds: UInt64 = 2_000_000_000

    package enum Verdict: Equatable, Sendable {
        case goOn
        /// Nobody wants what it computes any more.
        case isUnwanted
        /// Others wait that came after it began, and it would take long.
        case isInTheWay
        /// It takes far too long for those who wait.
        case isTooSlow
    }

    /// The sequences that it computes for.
    package var sequences: [Int]
    /// How many tokens of prompts it computes.
    package var promptTokens: Int
    package var company: PrefillPace.Company
    /// What it will take, as far as measured; 0: unknown.
    package var expectedNanoseconds: UInt64

    package init(sequences: [Int], promptTokens: Int, company: PrefillPace.Company, expectedNanoseconds: UInt64) {
        self.sequences = sequences
        self.promptTokens = promptTokens
        self.company = company
        self.expectedNanoseconds = expectedNanoseconds
    }

    /// `cancelled` and `asking`: sequences that were cancelled, and that began or got credit, since the step began.
    package func verdict(after nanoseconds: UInt64, cancelled: [Int], asking: [Int]) -> Verdict {
        if !cancelled.isEmpty, sequences.allSatisfy(cancelled.contains) { return .isUnwanted }
        guard promptTokens > company.tokensMin else { return .goOn }
        switch company {
        case .alone:
            guard asking.contains(where: { !sequences.contains($0) }) else { return .goOn }
            // What is left is soon done, or nobody knows what it takes and it has taken that long.
            let others = PrefillPace.Company.others(generating: 0).stepNanoseconds
            let left = expectedNanoseconds > nanoseconds ? expectedNanoseconds - nanoseconds : 0
            return left > others || nanoseconds > max(expectedNanoseconds, others) ? .isInTheWay : .goOn
        case .others: return nanoseconds > Self.cutNanoseconds ? .isTooSlow : .goOn
        }
    }
}
