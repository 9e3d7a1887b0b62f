package import InferenceMessages

/// Turns the events of a turn into the lines of Ollama's `/api/chat` or `/api/generate`, or into their one object.
///
/// A call is sent once it is whole; a last one that the limit or a stop of the request has cut is left out. Memory of a
/// stream: the call that is not whole.
package struct OllamaAnswer: TurnAnswer {
    package static let dialect = HTTPDialect.ollama

    package var isComplete: Bool { if case .complete = state { true } else { false } }

    private let shape: Shape
    private let createdAt: String
    private var model: String
    private let streams: Bool
    private let hasLogprobs: Bool
    private var state = State.waiting
    private var calls = WholeToolCalls()
    /// What came so far; only for an answer in one object.
    private var kept = Piece()

    private enum State: Sendable {
        case waiting, open
        /// `Finished` was received, and `Usage` comes.
        case ended(reason: String)
        case complete(reason: String, Hearth_V1_Usage)
    }

    init(to request: some OllamaTurnRequest, _ stamp: AnswerStamp) {
        shape = type(of: request).shape
        createdAt = OllamaTime.text(stamp.created)
        model = request.generate.model
        streams = request.streams
        hasLogprobs = request.generate.output.hasLogprobs
    }

    package mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> String {
        guard event.choice == 0 else { throw .broken("a piece of a choice that is not open") }
        switch (state, event.event) {
        case (_, nil), (.waiting, .queued): return ""
        case (.waiting, .accepted(let accepted)):
            model = accepted.model
            state = .open
            return ""
        case (.open, .delta(let delta)):
            guard shape == .message || delta.toolCalls.pieces.isEmpty else { throw .broken("a call of no tool") }
            var piece = Piece(delta, hasLogprobs: hasLogprobs)
            for part in delta.toolCalls.pieces {
                if let call = try calls.take(part) { piece.calls.append(call) }
            }
            return send(piece)
        case (.open, .finished(let finished)):
            state = .ended(reason: try Self.reason(finished.reason))
            var piece = Piece()
            if let call = try calls.end(mayBeCut: finished.reason != .toolCalls) { piece.calls.append(call) }
            return send(piece)
        case (.ended(let reason), .usage(let usage)):
            state = .complete(reason: reason, usage)
            return streams ? whole(reason, usage).text + "\n" : ""
        default: throw .broken("an event out of its order")
        }
    }

    package var object: JSONOutput? {
        guard case .complete(let reason, let usage) = state, !streams else { return nil }
        return whole(reason, usage)
    }

    private mutating func send(_ piece: Piece) -> String {
        guard streams else {
            kept += piece
            return ""
        }
        guard !piece.isEmpty else { return "" }
        let line = shape.object(model: model, createdAt: createdAt, piece, [("done", .bool(false))])
        return line.text + "\n"
    }

    /// The last line of a stream, or the object of a whole answer.
    private func whole(_ reason: String, _ usage: Hearth_V1_Usage) -> JSONOutput {
        shape.object(
            model: model, createdAt: createdAt, kept,
            [("done", .bool(true)), ("done_reason", .string(reason))] + Self.members(usage))
    }

    private static func reason(_ reason: Hearth_V1_FinishReason) throws(HTTPFailure) -> String {
        switch reason {
        case .stop, .toolCalls: return "stop"
        case .length: return "length"
        // Nothing here cancels a turn and goes on reading it.
        case .cancelled, .unspecified, .UNRECOGNIZED: throw .broken("an end without a reason that is known here")
        }
    }

    /// Durations are in nanoseconds. "Loading" is all that came before a backend was given the request.
    private static func members(_ usage: Hearth_V1_Usage) -> [(String, JSONOutput)] {
        let queue = OllamaTime.nanoseconds(usage.queueTime)
        let decode = OllamaTime.nanoseconds(usage.decodeTime)
        let first = usage.hasTimeToFirstToken ? max(queue, OllamaTime.nanoseconds(usage.timeToFirstToken)) : queue
        return [
            ("total_duration", .integer(first + decode)), ("load_duration", .integer(queue)),
            ("prompt_eval_count", .integer(Int64(usage.promptTokens))),
            ("prompt_eval_duration", .integer(first - queue)),
            ("eval_count", .integer(Int64(usage.completionTokens))), ("eval_duration", .integer(decode)),
        ]
    }
}
