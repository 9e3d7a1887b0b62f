package import InferenceMessages

/// Turns the events of a turn into the chunks of OpenAI's `/v1/completions`, or into its one object.
package struct CompletionAnswer: TurnAnswer {
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

    /// What came of one choice; its text and its tokens are kept only for an answer in one object.
    private struct Choice: Sendable {
        var text = ""
        var tokens: [Hearth_V1_TokenLogprob] = []
        /// Where the next token begins, in Unicode scalars from the beginning of the completion.
        var offset: Int64 = 0
        var finishReason: String?
    }

    init(to request: CompletionRequest, _ stamp: AnswerStamp) {
        id = "cmpl-" + stamp.id
        created = stamp.created
        model = request.generate.model
        streams = request.streams
        includesUsage = request.includesUsage
        hasLogprobs = request.generate.output.hasLogprobs
        choices = Array(repeating: Choice(), count: request.generate.hasChoices ? Int(request.generate.choices) : 1)
    }

    package mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> String {
        switch event.event {
        case .accepted(let accepted):
            model = accepted.model
            fingerprint = accepted.fingerprint
            return ""
        case .delta(let delta): return try receive(delta, of: try choice(of: event))
        case .finished(let finished):
            let index = try choice(of: event)
            guard finished.reason != .toolCalls else { throw .broken("a call of a tool in a completion") }
            let reason = try finished.reason.openAI()
            choices[index].finishReason = reason
            return streams ? chunk([object(of: index, text: "", finishReason: .string(reason))], usage: .null) : ""
        case .usage(let usage):
            guard !isComplete, choices.allSatisfy({ $0.finishReason != nil }) else { throw .broken("an early end") }
            isComplete = true
            self.usage = usage
            guard streams else { return "" }
            return (includesUsage ? chunk([], usage: JSONOutput(usage)) : "") + ServerSentEvents.done
        // That it waits has no place in this protocol.
        default: return ""
        }
    }

    package var object: JSONOutput? {
        guard isComplete, !streams else { return nil }
        let answers = choices.enumerated().map { index, choice in
            var offset: Int64 = 0
            return object(
                of: index, text: choice.text,
                logprobs: hasLogprobs ? Self.object(choice.tokens, from: &offset) : .null,
                finishReason: choice.finishReason.map { .string($0) } ?? .null)
        }
        return .object(members(answers) + [("usage", JSONOutput(usage))])
    }

    private func choice(of event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> Int {
        guard event.choice < choices.count, choices[Int(event.choice)].finishReason == nil else {
            throw .broken("a piece of a choice that is not open")
        }
        return Int(event.choice)
    }

    private mutating func receive(_ delta: Hearth_V1_Delta, of index: Int) throws(HTTPFailure) -> String {
        guard delta.reasoning.isEmpty, delta.toolCalls.pieces.isEmpty else {
            throw .broken("reasoning or a call in a completion")
        }
        let tokens = hasLogprobs ? delta.logprobs.tokens : []
        guard streams else {
            choices[index].text += delta.text
            choices[index].tokens += tokens
            return ""
        }
        // Tokens whose text is held back have nothing to show but their log-probabilities.
        guard !delta.text.isEmpty || !tokens.isEmpty else { return "" }
        let logprobs = hasLogprobs ? Self.object(tokens, from: &choices[index].offset) : .null
        return chunk([object(of: index, text: delta.text, logprobs: logprobs)], usage: .null)
    }

    private func chunk(_ choices: [JSONOutput], usage: JSONOutput) -> String {
        ServerSentEvents.event(.object(members(choices) + (includesUsage ? [("usage", usage)] : [])))
    }

    private func members(_ choices: [JSONOutput]) -> [(String, JSONOutput)] {
        [
            ("id", .string(id)), ("object", .string("text_completion")), ("created", .integer(created)),
            ("model", .string(model)),
        ] + fingerprint + [("choices", .list(choices))]
    }

    private func object(
        of index: Int, text: String, logprobs: JSONOutput = .null, finishReason: JSONOutput = .null
    ) -> JSONOutput {
        .object([
            ("index", .integer(Int64(index))), ("text", .string(text)), ("logprobs", logprobs),
            ("finish_reason", finishReason),
        ])
    }

    /// The older shape of log-probabilities: four lists with an entry for each token.
    private static func object(_ tokens: [Hearth_V1_TokenLogprob], from offset: inout Int64) -> JSONOutput {
        var offsets: [JSONOutput] = []
        for token in tokens {
            offsets.append(.integer(offset))
            // A scalar that several tokens share counts for the one that it begins in.
            for byte in [UInt8](token.text) where byte & 0xc0 != 0x80 { offset += 1 }
        }
        return .object([
            ("tokens", .list(tokens.map { .string(text(of: [UInt8]($0.text))) })),
            ("token_logprobs", .list(tokens.map { .number(Double($0.logprob)) })),
            ("top_logprobs", .list(tokens.map { likeliest($0) })), ("text_offset", .list(offsets)),
        ])
    }

    /// The likeliest tokens by their texts, and the chosen one. Of several with the same text, which parts of scalars
    /// can have, the likeliest.
    private static func likeliest(_ token: Hearth_V1_TokenLogprob) -> JSONOutput {
        var names: Set<String> = []
        var members: [(String, JSONOutput)] = []
        let chosen = (text(of: [UInt8](token.text)), token.logprob)
        for (name, logprob) in token.alternatives.map({ (text(of: [UInt8]($0.text)), $0.logprob) }) + [chosen]
        where names.insert(name).inserted {
            members.append((name, .number(Double(logprob))))
        }
        return .object(members)
    }

    private static func text(of bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
