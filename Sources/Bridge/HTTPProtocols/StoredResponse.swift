package import InferenceMessages
internal import SwiftProtobuf

/// A response in the background: what came of its turn, for whoever asks for it. A value.
///
/// The turn's events are kept, not the text of a stream: each reader makes the stream of them, from where it wants it.
package struct StoredResponse: Sendable {
    /// What ids of responses begin with.
    package static let idPrefix = "resp_"

    /// `idPrefix` and the stamp's id.
    package let id: String
    /// The events that have come so far, oldest first, each serialized: as messages they would take some hundred bytes more.
    private var events: [UInt8] = []
    /// Where each of them ends.
    private var ends: [Int] = []
    /// What the response has ended with, where it is not whole.
    package private(set) var failure: HTTPFailure?
    /// About what it takes of memory.
    package private(set) var byteCount: Int
    let request: ResponsesRequest
    let stamp: AnswerStamp
    /// How long the body of the request was.
    let bodyBytes: Int
    private var answer: ResponsesAnswer

    /// Of the request only what answers repeat is kept. `bodyBytes`: how long it was.
    package init(_ request: ResponsesRequest, _ stamp: AnswerStamp, bodyBytes: Int) {
        let request = ResponsesRequest(model: request.generate.model, asked: request.asked)
        self.request = request
        self.stamp = stamp
        self.bodyBytes = bodyBytes
        id = Self.idPrefix + stamp.id
        byteCount = bodyBytes
        answer = ResponsesAnswer(to: request, stamp, streams: false)
    }

    package var eventCount: Int { ends.count }

    /// The events behind the first `count`, but no more than so many.
    package func events(behind count: Int, most: Int) -> [Hearth_V1_ChatEvent] {
        // They were serialized here.
        encodedEvents(behind: count, most: most).map {
            (try? Hearth_V1_ChatEvent(serializedBytes: $0)) ?? Hearth_V1_ChatEvent()
        }
    }

    /// The same, each serialized.
    package func encodedEvents(behind count: Int, most: Int) -> [[UInt8]] {
        guard count < ends.count else { return [] }
        return (count..<ends.count).prefix(most).map { Array(events[($0 == 0 ? 0 : ends[$0 - 1])..<ends[$0]]) }
    }

    /// No event comes any more.
    package var isOver: Bool { failure != nil || answer.isComplete }

    /// Takes the next event; throws 502 for one that breaks hearth.v1.
    package mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) {
        guard !isOver else { return }
        _ = try answer.receive(event)
        let bytes: [UInt8]? = try? event.serializedBytes()
        guard let bytes else { throw .broken("an event that cannot be kept") }
        events += bytes
        ends.append(events.count)
        byteCount += Self.byteCount(of: event, serialized: bytes.count)
    }

    /// The turn has ended before it was whole. Does nothing where it has ended.
    package mutating func fail(_ failure: HTTPFailure) { if !isOver { self.failure = failure } }

    /// The response as far as it is.
    package var object: JSONOutput { answer.soFar(failure) }

    /// What makes the stream of the events, from `begin` on. `after`: the number of the last event that is not sent.
    package func stream(after: Int64?) -> ResponsesAnswer {
        ResponsesAnswer(to: request, stamp, streams: true, after: after)
    }

    /// What an event takes, with where it ends, and its text once more in the answer.
    private static func byteCount(of event: Hearth_V1_ChatEvent, serialized: Int) -> Int {
        let delta = event.delta
        let text =
            delta.text.utf8.count + delta.reasoning.utf8.count
            + delta.toolCalls.pieces.reduce(0) { $0 + $1.arguments.utf8.count }
        let logprobs = delta.logprobs.tokens.reduce(0) { $0 + 128 * (1 + $1.alternatives.count) }
        return serialized + MemoryLayout<Int>.size + text + logprobs
    }
}

extension HTTPFailure {
    /// A response in the background ends with this when its client cancels it.
    package static let responseCancelled = HTTPFailure(
        409, type: "invalid_request_error", code: "cancelled", "the response was cancelled by its client")
}
