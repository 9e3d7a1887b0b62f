internal import WireFormat

/// A violation of the contract by one end: one sentence that the backend's author can act on.
package struct ContractViolation: Error, Equatable, Sendable, CustomStringConvertible {
    /// The clause that was broken; nil: the agent's own message broke the contract.
    package let clause: ContractClause?
    package let sentence: String

    package init(_ clause: ContractClause, _ sentence: String) {
        self.clause = clause
        self.sentence = sentence
    }

    /// A violation by the agent.
    package init(byAgent sentence: String) {
        clause = nil
        self.sentence = sentence
    }

    /// A message that could not be decoded.
    init(_ error: WireError, in message: String) {
        clause = if case .unknownFields = error { .unknownFields } else { .wireFormat }
        sentence = "\(message) is malformed: \(error)"
    }

    /// The sentence, and behind it the number of the clause.
    package var description: String { sentence + (clause?.mark ?? "") }
}
