package import InferenceMessages
package import SwiftProtobuf

/// Turns what the agent says of a pull into the text of a stream. A value: what it returns is sent by its owner, which tells
/// of a failure where the pull ends before `isComplete`.
package protocol PullAnswer: Sendable {
    /// The media type of the stream.
    var mediaType: String { get }
    /// Whether the end of the pull was told.
    var isComplete: Bool { get }

    /// Takes what the agent says next; returns the text for it, which may be none. Throws where the stream ends with that.
    mutating func receive(_ event: Hearth_Admin_V1_PullProgress) throws(HTTPFailure) -> String

    /// What a stream that has begun sends last where it failed. Its body is aborted after it.
    func failed(_ failure: HTTPFailure) -> String
}

/// A pull in the owner's REST: one JSON object a line, or events where the client asks for these. The last object has the
/// event "done" or "failed".
package struct OwnerPullAnswer: PullAnswer, Equatable {
    private let sendsEvents: Bool
    package private(set) var isComplete = false

    /// `accept`: the request's field Accept.
    package init(accept: String?) { sendsEvents = accept?.lowercased().contains("text/event-stream") ?? false }

    package var mediaType: String { sendsEvents ? "text/event-stream" : HTTPDialect.hearth.streamMediaType }

    package mutating func receive(_ event: Hearth_Admin_V1_PullProgress) throws(HTTPFailure) -> String {
        isComplete = isComplete || event.event == "done" || event.event == "failed"
        let object = try MessageSchema.admin.json(of: event)
        return sendsEvents ? ServerSentEvents.event(object) : object.text + "\n"
    }

    package func failed(_ failure: HTTPFailure) -> String {
        let object = HTTPDialect.hearth.body(failure)
        return sendsEvents ? ServerSentEvents.event(object, named: "error") : object.text + "\n"
    }
}

extension MessageSchema {
    /// The JSON of a message of `hearth.admin.v1`.
    package func json(of message: some SwiftProtobuf.Message) throws(HTTPFailure) -> JSONOutput {
        let name = type(of: message).protoMessageName
        guard let bytes: [UInt8] = try? message.serializedBytes() else { throw .broken("a message that is none") }
        return try json(bytes, as: String(name.split(separator: ".").last ?? ""))
    }
}
