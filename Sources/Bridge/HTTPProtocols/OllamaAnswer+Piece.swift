internal import InferenceMessages

extension OllamaAnswer {
    /// What an answer, or a line of it, says.
    struct Piece: Sendable {
        var text = ""
        var thinking = ""
        var calls: [WholeToolCalls.Call] = []
        var logprobs: [Hearth_V1_TokenLogprob] = []
    }

    /// Where the two requests have what the model said.
    package enum Shape: Sendable {
        /// `message`, of `/api/chat`.
        case message
        /// `response`, of `/api/generate`, which has no calls.
        case response
    }
}

extension OllamaAnswer.Piece {
    /// All of a delta but its calls.
    init(_ delta: Hearth_V1_Delta, hasLogprobs: Bool) {
        text = delta.text
        thinking = delta.reasoning
        if hasLogprobs { logprobs = delta.logprobs.tokens }
    }

    var isEmpty: Bool { text.isEmpty && thinking.isEmpty && calls.isEmpty && logprobs.isEmpty }

    static func += (left: inout Self, right: Self) {
        left.text += right.text
        left.thinking += right.thinking
        left.calls += right.calls
        left.logprobs += right.logprobs
    }

    fileprivate static func object(_ call: WholeToolCalls.Call) -> JSONOutput {
        .object([
            ("id", .string(call.id)),
            (
                "function",
                .object([
                    ("index", .integer(Int64(call.index))), ("name", .string(call.name)),
                    ("arguments", .text(call.arguments)),
                ])
            ),
        ])
    }

    fileprivate static func object(_ token: Hearth_V1_TokenLogprob) -> JSONOutput {
        var entry = members([UInt8](token.text), token.logprob)
        if !token.alternatives.isEmpty {
            let likeliest = token.alternatives.map { JSONOutput.object(members([UInt8]($0.text), $0.logprob)) }
            entry.append(("top_logprobs", .list(likeliest)))
        }
        return .object(entry)
    }

    /// The bytes are the token's own; its text has U+FFFD where they are no UTF-8.
    private static func members(_ bytes: [UInt8], _ logprob: Float) -> [(String, JSONOutput)] {
        [
            ("token", .string(String(decoding: bytes, as: UTF8.self))), ("logprob", .number(Double(logprob))),
            ("bytes", .list(bytes.map { .integer(Int64($0)) })),
        ]
    }
}

extension OllamaAnswer.Shape {
    /// `rest`: how the answer stands.
    func object(
        model: String, createdAt: String, _ piece: OllamaAnswer.Piece, _ rest: [(String, JSONOutput)]
    ) -> JSONOutput {
        var members: [(String, JSONOutput)] = [("model", .string(model)), ("created_at", .string(createdAt))]
        switch self {
        case .message:
            var message: [(String, JSONOutput)] = [("role", .string("assistant")), ("content", .string(piece.text))]
            if !piece.thinking.isEmpty { message.append(("thinking", .string(piece.thinking))) }
            if !piece.calls.isEmpty {
                message.append(("tool_calls", .list(piece.calls.map { OllamaAnswer.Piece.object($0) })))
            }
            members.append(("message", .object(message)))
        case .response:
            members.append(("response", .string(piece.text)))
            if !piece.thinking.isEmpty { members.append(("thinking", .string(piece.thinking))) }
        }
        if !piece.logprobs.isEmpty {
            members.append(("logprobs", .list(piece.logprobs.map { OllamaAnswer.Piece.object($0) })))
        }
        return .object(members + rest)
    }
}
