package import InferenceMessages

/// Turns the events of a turn into the events of OpenAI's `/v1/responses`, or into its one object.
///
/// What a model writes is a list of items: its reasoning, messages and calls, in the order in which it writes them. Its
/// reasoning is sent whole, as the summary of a reasoning item, which is the place for it that clients read.
package struct ResponsesAnswer: TurnAnswer {
    package static let dialect = HTTPDialect.openAI

    let id: String
    /// When the request came, in seconds since 1970.
    let created: Int64
    let asked: ResponsesRequest.Asked
    private(set) var model: String
    private(set) var items: [Item] = []
    private(set) var stage = Stage.waiting
    /// Tokens of the completion that are reasoning.
    private(set) var reasoningTokens: UInt64 = 0
    private let streams: Bool
    /// That of the next event.
    private var sequenceNumber: Int64 = 0
    /// The number of the last event that is not sent: its reader has it. Nil: all are sent.
    private let after: Int64?
    /// Tokens whose text is held back, and how many there are: they belong to what comes next.
    private var held = Hearth_V1_Logprobs()
    private var heldTokens: UInt64 = 0

    enum Stage: Equatable {
        case waiting
        case running
        case finished(isWhole: Bool)
        case complete(isWhole: Bool, Hearth_V1_Usage)
    }

    /// A piece of the output.
    struct Item: Sendable {
        enum Kind: Equatable, Sendable {
            case reasoning
            case message
            case call(id: String, name: String)
        }

        let kind: Kind
        let id: String
        /// The text, or the arguments.
        var text = ""
        var logprobs: [Hearth_V1_TokenLogprob] = []
        var status = Status.inProgress
    }

    enum Status: String {
        case queued
        case inProgress = "in_progress"
        case completed
        case incomplete
        case failed
        case cancelled
    }

    /// `streams`: in place of what the request says. `after`: the number of the last event that a reader has.
    init(to request: ResponsesRequest, _ stamp: AnswerStamp, streams: Bool? = nil, after: Int64? = nil) {
        id = stamp.id
        created = stamp.created
        model = request.generate.model
        asked = request.asked
        self.streams = streams ?? request.streams
        self.after = after
    }

    package var isComplete: Bool {
        if case .complete = stage { true } else { false }
    }

    package var object: JSONOutput? { isComplete && !streams ? response(ended) : nil }

    package mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> String {
        guard event.choice == 0 else { throw .broken("a choice that nobody asked for") }
        switch event.event {
        case .accepted(let accepted):
            guard stage == .waiting else { throw .broken("a second beginning") }
            stage = .running
            model = accepted.model
            if asked.isBackground { return send("response.in_progress", [("response", response(.inProgress))]) }
            return send("response.created", [("response", response(.inProgress))])
                + send("response.in_progress", [("response", response(.inProgress))])
        case .delta(let delta):
            guard stage == .running else { throw .broken("a piece of an answer that is not open") }
            return try receive(delta)
        case .finished(let finished):
            guard stage == .running else { throw .broken("an end of an answer that is not open") }
            let isWhole = try finished.reason.openAI() != "length"
            stage = .finished(isWhole: isWhole)
            return finish(isWhole: isWhole)
        case .usage(let usage):
            guard case .finished(let isWhole) = stage else { throw .broken("an early end") }
            stage = .complete(isWhole: isWhole, usage)
            let last = send(isWhole ? "response.completed" : "response.incomplete", [("response", response(ended))])
            return streams ? last + ServerSentEvents.done : ""
        // That it waits has no place in this protocol before it has begun.
        default: return ""
        }
    }

    /// What the stream of a response in the background begins with: its id is wanted before anything is computed.
    package mutating func begin() -> String {
        send("response.created", [("response", response(.queued))])
            + send("response.queued", [("response", response(.queued))])
    }

    /// The object of a response in the background, as far as it is; `failure`: what it has ended with.
    func soFar(_ failure: HTTPFailure?) -> JSONOutput {
        guard let failure else {
            return switch stage {
            case .waiting: response(.queued)
            case .running, .finished: response(.inProgress)
            case .complete: response(ended)
            }
        }
        return interrupted.response(failure == .responseCancelled ? .cancelled : .failed, failure)
    }

    /// No more comes of it.
    private var interrupted: ResponsesAnswer {
        var answer = self
        if let last = answer.items.last, last.status == .inProgress {
            answer.items[answer.items.count - 1].status = .incomplete
        }
        return answer
    }

    package func failed(_ failure: HTTPFailure) -> String {
        var answer = interrupted
        // Some clients read the one, and some the other.
        return answer.send("error", [("error", failure.error)])
            + answer.send("response.failed", [("response", answer.soFar(failure))])
    }

    private var ended: Status {
        if case .complete(isWhole: false, _) = stage { .incomplete } else { .completed }
    }

    private mutating func send(_ type: String, _ members: [(String, JSONOutput)]) -> String {
        guard streams else { return "" }
        let number = sequenceNumber
        sequenceNumber += 1
        guard number > after ?? -1 else { return "" }
        let head = [("type", JSONOutput.string(type)), ("sequence_number", .integer(number))]
        let event = ServerSentEvents.event(.object(head + members), named: type)
        // Whoever reads a stream that is stored may come back behind an event.
        return asked.isBackground ? "id: \(number)\n" + event : event
    }
}

// Items.
extension ResponsesAnswer {
    private mutating func receive(_ delta: Hearth_V1_Delta) throws(HTTPFailure) -> String {
        held.tokens += delta.logprobs.tokens
        heldTokens += UInt64(delta.tokenCount)
        var events = ""
        if !delta.reasoning.isEmpty {
            reasoningTokens += heldTokens
            events += open(.reasoning) + add(delta.reasoning)
        }
        if !delta.text.isEmpty { events += open(.message) + add(delta.text, held.tokens) }
        for piece in delta.toolCalls.pieces {
            if !piece.id.isEmpty { events += open(.call(id: piece.id, name: piece.name)) }
            guard case .call = items.last?.kind else { throw .broken("a piece of a call that is not open") }
            if !piece.arguments.isEmpty { events += add(piece.arguments) }
        }
        if !delta.reasoning.isEmpty || !delta.text.isEmpty || !delta.toolCalls.pieces.isEmpty {
            held = Hearth_V1_Logprobs()
            heldTokens = 0
        }
        return events
    }

    private mutating func finish(isWhole: Bool) -> String {
        // A turn that ended in silence has said nothing, which is a message too.
        let isSilent = items.allSatisfy { $0.kind == .reasoning }
        return (isWhole && isSilent ? open(.message) : "") + close(isWhole ? .completed : .incomplete)
    }

    /// Makes an item of that kind the last one; each call is one of its own.
    private mutating func open(_ kind: Item.Kind) -> String {
        if items.last?.kind == kind, kind == .message || kind == .reasoning { return "" }
        let before = close(.completed)
        let index = items.count
        let item: Item
        switch kind {
        case .reasoning: item = Item(kind: kind, id: "rs_\(id)_\(index)")
        case .message: item = Item(kind: kind, id: "msg_\(id)_\(index)")
        case .call: item = Item(kind: kind, id: "fc_\(id)_\(index)")
        }
        items.append(item)
        let added = send(
            "response.output_item.added", [("output_index", .integer(Int64(index))), ("item", item.begun)])
        switch kind {
        case .reasoning:
            return before + added + send("response.reasoning_summary_part.added", place + [("part", item.part)])
        case .message: return before + added + send("response.content_part.added", place + [("part", item.part)])
        case .call: return before + added
        }
    }

    /// More of the last item.
    private mutating func add(_ text: String, _ tokens: [Hearth_V1_TokenLogprob] = []) -> String {
        let last = items.count - 1
        items[last].text += text
        items[last].logprobs += tokens
        let piece = place + [("delta", .string(text))]
        switch items[last].kind {
        case .reasoning: return send("response.reasoning_summary_text.delta", piece)
        case .message: return send("response.output_text.delta", piece + [("logprobs", JSONOutput(tokens))])
        case .call: return send("response.function_call_arguments.delta", piece)
        }
    }

    /// No more comes of the last item, where there is one.
    private mutating func close(_ status: Status) -> String {
        guard let last = items.indices.last else { return "" }
        items[last].status = status
        let item = items[last]
        let events: String
        switch item.kind {
        case .reasoning:
            events =
                send("response.reasoning_summary_text.done", place + [("text", .string(item.text))])
                + send("response.reasoning_summary_part.done", place + [("part", item.part)])
        case .message:
            let whole = [("text", JSONOutput.string(item.text)), ("logprobs", JSONOutput(item.logprobs))]
            events =
                send("response.output_text.done", place + whole)
                + send("response.content_part.done", place + [("part", item.part)])
        case .call(_, let name):
            events = send(
                "response.function_call_arguments.done",
                place + [("name", .string(name)), ("arguments", .string(item.text))])
        }
        return events
            + send(
                "response.output_item.done", [("output_index", .integer(Int64(last))), ("item", item.object)])
    }

    /// Where the last item is, in the events about its parts.
    private var place: [(String, JSONOutput)] {
        guard let item = items.last else { return [] }
        let members = [("item_id", JSONOutput.string(item.id)), ("output_index", .integer(Int64(items.count - 1)))]
        switch item.kind {
        case .reasoning: return members + [("summary_index", .integer(0))]
        case .message: return members + [("content_index", .integer(0))]
        case .call: return members
        }
    }
}
