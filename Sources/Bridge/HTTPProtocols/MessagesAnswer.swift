package import InferenceMessages
internal import StrictJSON

/// Turns the events of a turn into those of Anthropic's `/v1/messages`, or into its one object.
///
/// A message is a list of blocks. Pieces of the same kind that follow each other are one block, and so are those of one
/// call; a stream has one block open at a time.
package struct MessagesAnswer: TurnAnswer {
    package static let dialect = HTTPDialect.anthropic

    private let id: String
    private var model: String
    private let streams: Bool
    private let showsThinking: Bool

    private var phase = Phase.waiting
    /// Whether a stream has its `message_start`.
    private var hasBegun = false
    private var open: Block?
    /// Blocks that are closed, and calls that were opened.
    private var blockCount = 0
    private var callCount = 0
    /// The blocks of an answer in one object.
    private var content: [JSONOutput] = []
    private var stopReason = JSONOutput.null
    private var stopSequence = JSONOutput.null
    private var usage = Hearth_V1_Usage()

    private enum Phase { case waiting, running, finished, complete }

    private struct Block: Sendable {
        enum Kind { case thinking, text, call }

        let kind: Kind
        var id = ""
        var name = ""
        /// Kept only for an answer in one object.
        var text = ""
    }

    init(to request: MessagesRequest, _ stamp: AnswerStamp) {
        id = "msg_" + stamp.id
        model = request.generate.model
        streams = request.streams
        showsThinking = request.showsThinking
    }

    package mutating func receive(_ event: Hearth_V1_ChatEvent) throws(HTTPFailure) -> String {
        guard event.choice == 0 else { throw .broken("a choice that was not asked for") }
        switch (event.event, phase) {
        case (nil, _), (.queued, .waiting): return ""
        case (.accepted(let accepted), .waiting):
            model = accepted.model
            phase = .running
            return ""
        case (.delta(let delta), .running): return try receive(delta)
        case (.finished(let finished), .running):
            phase = .finished
            return try receive(finished)
        case (.usage(let usage), .finished):
            phase = .complete
            self.usage = usage
            return ending()
        default: throw .broken("an event out of its order")
        }
    }

    package var isComplete: Bool { phase == .complete }

    package var object: JSONOutput? { isComplete && !streams ? message() : nil }

    private mutating func receive(_ finished: Hearth_V1_Finished) throws(HTTPFailure) -> String {
        let text = beginning() + (try close(mayBeCut: finished.reason != .toolCalls))
        switch finished.reason {
        case .stop:
            if case .stop(let sequence) = finished.matched {
                stopReason = .string("stop_sequence")
                stopSequence = .string(sequence)
            } else {
                stopReason = .string("end_turn")
            }
        case .length: stopReason = .string("max_tokens")
        case .toolCalls:
            guard callCount > 0 else { throw .broken("an end for calls, and no call") }
            stopReason = .string("tool_use")
        // Nothing here cancels a turn and goes on reading it.
        case .cancelled, .unspecified, .UNRECOGNIZED: throw .broken("an end without a reason that is known here")
        }
        return text
    }
}

// Blocks.
extension MessagesAnswer {
    private mutating func receive(_ delta: Hearth_V1_Delta) throws(HTTPFailure) -> String {
        var text = ""
        // What follows a call may come with the end of it.
        var pieces = delta.toolCalls.pieces[...]
        while open?.kind == .call, let piece = pieces.first, piece.index < callCount {
            pieces.removeFirst()
            text += try receive(piece)
        }
        if !delta.reasoning.isEmpty {
            // A client that is not shown it still sees that the model works.
            text += showsThinking ? try add(delta.reasoning, to: .thinking) : beginning() + event("ping")
        }
        if !delta.text.isEmpty { text += try add(delta.text, to: .text) }
        for piece in pieces { text += try receive(piece) }
        return text
    }

    private mutating func receive(_ piece: Hearth_V1_ToolCallPiece) throws(HTTPFailure) -> String {
        var text = ""
        if Int(piece.index) == callCount {
            guard !piece.id.isEmpty, !piece.name.isEmpty else { throw .broken("a call without an id or a name") }
            callCount += 1
            text += try start(Block(kind: .call, id: piece.id, name: piece.name))
        }
        guard open?.kind == .call, Int(piece.index) == callCount - 1 else {
            throw .broken("a piece of a call that is not open")
        }
        return piece.arguments.isEmpty ? text : text + add(piece.arguments)
    }

    private mutating func add(_ piece: String, to kind: Block.Kind) throws(HTTPFailure) -> String {
        let text = open?.kind == kind ? "" : try start(Block(kind: kind))
        return text + add(piece)
    }

    /// More of the open block.
    private mutating func add(_ piece: String) -> String {
        guard streams else {
            open?.text += piece
            return ""
        }
        switch open?.kind {
        case .thinking: return delta("thinking_delta", "thinking", piece)
        case .text: return delta("text_delta", "text", piece)
        case .call: return delta("input_json_delta", "partial_json", piece)
        case nil: return ""
        }
    }

    private mutating func start(_ block: Block) throws(HTTPFailure) -> String {
        let text = beginning() + (try close(mayBeCut: false))
        open = block
        return text + event("content_block_start", [index, ("content_block", object(of: block, input: "{}"))])
    }

    /// A call that was cut is not in an answer in one object, whose input has to be one: nobody may take it for whole.
    private mutating func close(mayBeCut: Bool) throws(HTTPFailure) -> String {
        guard let block = open else { return "" }
        open = nil
        if !streams {
            if block.kind != .call || Self.isObject(block.text) {
                content.append(object(of: block, input: block.text))
            } else if !mayBeCut {
                throw .broken("a call whose arguments are no JSON object")
            }
        }
        // Nothing here signs what the model writes to itself; clients await the signature.
        let signature = block.kind == .thinking ? delta("signature_delta", "signature", "") : ""
        let text = signature + event("content_block_stop", [index])
        blockCount += 1
        return text
    }

    private static func isObject(_ text: String) -> Bool {
        var scan = JSONObjectScan()
        do throws(JSONObjectScan.Flaw) {
            try scan.read(Array(text.utf8))
            try scan.end()
            return true
        } catch { return false }
    }

    private func object(of block: Block, input: String) -> JSONOutput {
        switch block.kind {
        case .thinking:
            .object([("type", .string("thinking")), ("thinking", .string(block.text)), ("signature", .string(""))])
        case .text: .object([("type", .string("text")), ("text", .string(block.text)), ("citations", .null)])
        case .call:
            .object([
                ("type", .string("tool_use")), ("id", .string(block.id)), ("name", .string(block.name)),
                ("input", .text(input)), ("caller", .object([("type", .string("direct"))])),
            ])
        }
    }
}

// Events, and the message that they are about.
extension MessagesAnswer {
    private func event(_ type: String, _ members: [(String, JSONOutput)] = []) -> String {
        streams ? ServerSentEvents.event(.object([("type", .string(type))] + members), named: type) : ""
    }

    private func delta(_ type: String, _ member: String, _ piece: String) -> String {
        let delta = JSONOutput.object([("type", .string(type)), (member, .string(piece))])
        return event("content_block_delta", [index, ("delta", delta)])
    }

    private var index: (String, JSONOutput) { ("index", .integer(Int64(blockCount))) }

    /// What the prompt cost is not known yet: it is in `message_delta`.
    private mutating func beginning() -> String {
        guard !hasBegun else { return "" }
        hasBegun = true
        return event("message_start", [("message", message())])
    }

    private func ending() -> String {
        event(
            "message_delta",
            [
                ("delta", .object([("stop_reason", stopReason), ("stop_sequence", stopSequence)])),
                ("usage", usageObject),
            ]) + event("message_stop")
    }

    private func message() -> JSONOutput {
        .object([
            ("id", .string(id)), ("type", .string("message")), ("role", .string("assistant")),
            ("model", .string(model)), ("content", .list(content)), ("stop_reason", stopReason),
            ("stop_sequence", stopSequence), ("stop_details", .null), ("container", .null), ("usage", usageObject),
        ])
    }

    /// The members that say nothing here are there all the same: clients demand them.
    ///
    /// The tokens of a prompt are those that were computed and those that did not have to be, told apart.
    private var usageObject: JSONOutput {
        .object([
            ("input_tokens", .integer(max(0, Int64(usage.promptTokens) - Int64(usage.cachedPromptTokens)))),
            ("cache_creation_input_tokens", .integer(0)),
            ("cache_read_input_tokens", .integer(Int64(usage.cachedPromptTokens))),
            ("output_tokens", .integer(Int64(usage.completionTokens))), ("cache_creation", .null),
            ("inference_geo", .null), ("output_tokens_details", .null), ("server_tool_use", .null),
            ("service_tier", .null),
        ])
    }
}
