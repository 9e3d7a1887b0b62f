/// A step that is being computed, and the decision whether it goes on. The results of a step that is cut are lost.
package struct RunningStep: Equatable, Sendable {
    /// A step beside others that has taken this long is cut, if a smaller one is possible.
    package static let cutNanoseconds: UInt64 = 3_000_000_000

    package enum Verdict: Equatable, Sendable {
        case goOn
        /// All its sequences were cancelled.
        case isUnwanted
        /// Sequences that came after it began wait for it, and it would take long.
        case isInTheWay
        /// It takes far too long for the sequences that wait.
        case isTooSlow
    }

    /// The sequences that it computes for.
    package var sequences: [Int]
    /// How many tokens of prompts it computes.
    package var promptTokens: Int
    package var company: PrefillPace.Company
    /// The time that it will take, as far as measured; 0: unknown.
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
            // The rest is soon done, unless its time is unknown and it has taken that long already.
            let others = PrefillPace.Company.others(generating: 0).stepNanoseconds
            let left = expectedNanoseconds > nanoseconds ? expectedNanoseconds - nanoseconds : 0
            return left > others || nanoseconds > max(expectedNanoseconds, others) ? .isInTheWay : .goOn
        case .others: return nanoseconds > Self.cutNanoseconds ? .isTooSlow : .goOn
        }
    }
}
