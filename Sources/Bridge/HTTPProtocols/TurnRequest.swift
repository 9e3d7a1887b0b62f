package import InferenceMessages

/// The body of a request in another protocol that asks for one turn, in the terms of hearth.v1.
package protocol TurnRequest: Sendable {
    associatedtype Answer: TurnAnswer

    /// Reads the body. Throws 400 with the path of the field that is wrong, or that this host does not take. Limits of
    /// numbers and lengths are the agent's, which names them.
    init(_ body: [UInt8]) throws(HTTPFailure)

    /// What the agent is asked.
    var generate: Hearth_V1_GenerateRequest { get }
    /// Whether the answer comes piece by piece.
    var streams: Bool { get }

    /// What makes the answer of the turn's events.
    func answer(_ stamp: AnswerStamp) -> Answer

    /// The path in this protocol of a field of hearth.v1 that the agent refused; nil where it has none.
    @Sendable static func param(_ field: String) -> String?
}

/// What tells an answer from all others, chosen by the bridge.
package struct AnswerStamp: Equatable, Sendable {
    /// Random; at least 24 of the ASCII letters and digits. Protocols put their prefixes before it.
    package let id: String
    /// When the request came, in seconds since 1970.
    package let created: Int64

    package init(id: String, created: Int64) {
        self.id = id
        self.created = created
    }
}

/// Turns the events of a turn into an answer of another protocol. A value: what it returns is sent by its owner.
///
/// An answer is whole only once `isComplete` is true: an owner whose call ended before tells the client of a failure,
/// never of an end. Memory: what a whole answer has, at most the model's context for each choice.
package protocol TurnAnswer: Sendable {
    /// Which protocol it is an answer of.
    static var dialect: HTTPDialect { get }

    /// Takes the next event; returns the text that a stream sends for it, and nothing for an answer in one object.
    /// Throws 502 for an event that breaks hearth.v1.
    mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> String

    /// Whether the turn has come to its end, `Usage`.
    var isComplete: Bool { get }

    /// The object of a whole answer that is no stream; nil before it is complete.
    var object: JSONOutput? { get }

    /// What a stream that has begun sends last where it failed. Its body is aborted after it.
    func failed(_ failure: HTTPFailure) -> String
}

extension TurnAnswer {
    package func failed(_ failure: HTTPFailure) -> String { Self.dialect.lastEvent(failure) }
}

extension HTTPFailure {
    /// The agent broke hearth.v1: 502.
    package static func broken(_ what: String) -> HTTPFailure {
        HTTPFailure(502, type: "server_error", "the agent sent \(what); the answer is not whole, ask again")
    }
}
