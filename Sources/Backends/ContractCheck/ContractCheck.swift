package import BackendIPC

/// One of the checks that a backend is put through, on a process of its own.
package struct ContractCheck: Sendable {
    /// What it does, in a few words.
    package let name: String
    /// The clauses that it tries; others may turn out to be broken, because the driver checks every message.
    package let clauses: [ContractClause]
    /// Whether nothing else can be tried of a backend that fails it.
    package var isGate = false
    let run: @Sendable (Session) throws -> Void

    /// All of them, in the order in which they are made.
    package static let all =
        handshakeChecks + sequenceChecks + [continuation] + endingChecks + questionChecks + [shutdown, flood]
}

/// A clause was seen to be broken.
struct Broken: Error {
    let clause: ContractClause
    let sentence: String

    init(_ clause: ContractClause, _ sentence: String) {
        self.clause = clause
        self.sentence = sentence
    }
}

/// A check says nothing about this backend.
struct Untried: Error {
    let why: String

    init(_ why: String) { self.why = why }
}
