package import InferenceMessages

/// Turns the events of a turn into the chunks of OpenAI's `/v1/chat/completions`, or into its one object.
package struct ChatCompletionAnswer: TurnAnswer {
    package static let dialect = HTTPDialect.openAI

    package private(set) var isComplete = false

    private let id: String
    /// Seconds since 1970.
    private let created: Int64
    private var model: String
    private var fingerprint: [(String, JSONOutput)] = []
    private let streams: Bool
    private let includesUsage: Bool
    private let hasLogprobs: Bool
    private var choices: [Choice]
    private var usage = Hearth_V1_Usage()

    /// What came of one choice; texts and calls are kept only for an answer in one object.
    private struct Choice: Sendable {
        var hasBegun = false
        var content = ""
        var reasoning = ""
        var calls: [Hearth_V1_ToolCall] = []
        var logprobs: [Hearth_V1_TokenLogprob] = []
        var finishReason: String?
    }

    init(to request: ChatCompletionRequest, _ stamp: AnswerStamp) {
        id = "chatcmpl-" + stamp.id
        created = stamp.created
        model = request.generate.model
        streams = request.streams
        includesUsage = request.includesUsage
        hasLogprobs = request.generate.output.hasLogprobs
        choices = Array(repeating: Choice(), count: request.generate.hasChoices ? Int(request.generate.choices) : 1)
    }

    package mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> String {
        var text = ""
        for chunk in try chunks(event) { text += ServerSentEvents.event(chunk) }
        return isComplete && streams ? text + ServerSentEvents.done : text
    }

    private mutating func chunks(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> [JSONOutput] {
        switch event.event {
        case .accepted(let accepted):
            model = accepted.model
            fingerprint = accepted.fingerprint
            return []
        case .delta(let delta): return receive(delta, of: try choice(of: event))
        case .finished(let finished):
            let index = try choice(of: event)
            let reason = try finished.reason.openAI()
            choices[index].finishReason = reason
            guard streams else { return [] }
            return opening(of: index) + [chunk(index, delta: [], finishReason: .string(reason))]
        case .usage(let usage):
            guard !isComplete, choices.allSatisfy({ $0.finishReason != nil }) else { throw .broken("an early end") }
            isComplete = true
            self.usage = usage
            return streams && includesUsage ? [envelope([], usage: JSONOutput(usage))] : []
        case .queued, .paused, .resumed, .resumable, nil: return []
        }
    }

    package var object: JSONOutput? {
        guard isComplete, !streams else { return nil }
        let head: [(String, JSONOutput)] = [
            ("id", .string(id)), ("object", .string("chat.completion")), ("created", .integer(created)),
            ("model", .string(model)),
        ]
        return .object(
            head + fingerprint
                + [("choices", .list(choices.indices.map { object(of: $0) })), ("usage", JSONOutput(usage))])
    }

    private func choice(of event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> Int {
        guard event.choice < choices.count, choices[Int(event.choice)].finishReason == nil else {
            throw .broken("a piece of a choice that is not open")
        }
        return Int(event.choice)
    }
}

// Streams.
extension ChatCompletionAnswer {
    private mutating func receive(_ delta: Hearth_V1_Delta, of index: Int) -> [JSONOutput] {
        guard streams else {
            keep(delta, of: index)
            return []
        }
        var members: [(String, JSONOutput)] = []
        if !delta.text.isEmpty { members.append(("content", .string(delta.text))) }
        if !delta.reasoning.isEmpty { members.append(("reasoning_content", .string(delta.reasoning))) }
        if !delta.toolCalls.pieces.isEmpty {
            members.append(("tool_calls", .list(delta.toolCalls.pieces.map { Self.object($0) })))
        }
        // Tokens whose text is held back have nothing to show but their log-probabilities.
        guard !members.isEmpty || !delta.logprobs.tokens.isEmpty else { return [] }
        let logprobs = hasLogprobs ? Self.object(delta.logprobs.tokens) : nil
        return opening(of: index) + [chunk(index, delta: members, logprobs: logprobs)]
    }

    /// The first chunk of a choice says whose message it is.
    private mutating func opening(of index: Int) -> [JSONOutput] {
        guard !choices[index].hasBegun else { return [] }
        choices[index].hasBegun = true
        return [chunk(index, delta: [("role", .string("assistant")), ("content", .string(""))])]
    }

    private func chunk(
        _ index: Int, delta: [(String, JSONOutput)], logprobs: JSONOutput? = nil, finishReason: JSONOutput = .null
    ) -> JSONOutput {
        let choice = JSONOutput.object([
            ("index", .integer(Int64(index))), ("delta", .object(delta)), ("logprobs", logprobs ?? .null),
            ("finish_reason", finishReason),
        ])
        return envelope([choice], usage: .null)
    }

    private func envelope(_ choices: [JSONOutput], usage: JSONOutput) -> JSONOutput {
        var members: [(String, JSONOutput)] = [
            ("id", .string(id)), ("object", .string("chat.completion.chunk")), ("created", .integer(created)),
            ("model", .string(model)),
        ]
        members += fingerprint + [("choices", .list(choices))]
        if includesUsage { members.append(("usage", usage)) }
        return .object(members)
    }

    private static func object(_ piece: Hearth_V1_ToolCallPiece) -> JSONOutput {
        var members: [(String, JSONOutput)] = [("index", .integer(Int64(piece.index)))]
        var function: [(String, JSONOutput)] = [("arguments", .string(piece.arguments))]
        if !piece.id.isEmpty {
            members += [("id", .string(piece.id)), ("type", .string("function"))]
            function.insert(("name", .string(piece.name)), at: 0)
        }
        return .object(members + [("function", .object(function))])
    }
}

// Answers in one object.
extension ChatCompletionAnswer {
    private mutating func keep(_ delta: Hearth_V1_Delta, of index: Int) {
        choices[index].content += delta.text
        choices[index].reasoning += delta.reasoning
        choices[index].logprobs += delta.logprobs.tokens
        for piece in delta.toolCalls.pieces {
            if !piece.id.isEmpty {
                var call = Hearth_V1_ToolCall()
                call.id = piece.id
                call.name = piece.name
                choices[index].calls.append(call)
            }
            // The pieces of one call follow each other.
            guard let last = choices[index].calls.indices.last else { continue }
            choices[index].calls[last].arguments += piece.arguments
        }
    }

    private func object(of index: Int) -> JSONOutput {
        let choice = choices[index]
        var message: [(String, JSONOutput)] = [
            ("role", .string("assistant")),
            ("content", choice.content.isEmpty && !choice.calls.isEmpty ? .null : .string(choice.content)),
            ("refusal", .null), ("annotations", .list([])),
        ]
        if !choice.reasoning.isEmpty { message.append(("reasoning_content", .string(choice.reasoning))) }
        if !choice.calls.isEmpty {
            message.append(
                (
                    "tool_calls",
                    .list(
                        choice.calls.map { call in
                            .object([
                                ("id", .string(call.id)), ("type", .string("function")),
                                (
                                    "function",
                                    .object([("name", .string(call.name)), ("arguments", .string(call.arguments))])
                                ),
                            ])
                        })
                ))
        }
        return .object([
            ("index", .integer(Int64(index))), ("message", .object(message)),
            ("logprobs", hasLogprobs ? Self.object(choice.logprobs) : .null),
            ("finish_reason", choice.finishReason.map { .string($0) } ?? .null),
        ])
    }
}

// What both have.
extension ChatCompletionAnswer {
    private static func object(_ tokens: [Hearth_V1_TokenLogprob]) -> JSONOutput {
        .object([("content", JSONOutput(tokens)), ("refusal", .null)])
    }
}
