internal import InferenceMessages
internal import SwiftProtobuf

extension ResponsesAnswer.Item {
    /// The item as it is now.
    var object: JSONOutput { object(status, hasParts: true) }

    /// The item before anything of it came.
    var begun: JSONOutput { object(.inProgress, hasParts: false) }

    /// The one part of a reasoning item or a message.
    var part: JSONOutput {
        if kind == .reasoning { return .object([("type", .string("summary_text")), ("text", .string(text))]) }
        return .object([
            ("type", .string("output_text")), ("text", .string(text)), ("annotations", .list([])),
            ("logprobs", JSONOutput(logprobs)),
        ])
    }

    private func object(_ status: ResponsesAnswer.Status, hasParts: Bool) -> JSONOutput {
        let parts = JSONOutput.list(hasParts ? [part] : [])
        let status = JSONOutput.string(status.rawValue)
        switch kind {
        case .reasoning:
            return .object([
                ("id", .string(id)), ("type", .string("reasoning")), ("status", status), ("summary", parts),
            ])
        case .message:
            return .object([
                ("id", .string(id)), ("type", .string("message")), ("status", status), ("role", .string("assistant")),
                ("content", parts),
            ])
        case .call(let callID, let name):
            return .object([
                ("id", .string(id)), ("type", .string("function_call")), ("status", status),
                ("call_id", .string(callID)), ("name", .string(name)), ("arguments", .string(text)),
            ])
        }
    }
}

extension ResponsesAnswer {
    /// The object of the response as it is now.
    func response(_ status: Status, _ failure: HTTPFailure? = nil) -> JSONOutput {
        .object([
            ("id", .string(StoredResponse.idPrefix + id)), ("object", .string("response")),
            ("created_at", .integer(created)),
            ("completed_at", status == .completed ? .integer(completed) : .null), ("status", .string(status.rawValue)),
            (
                "incomplete_details",
                status == .incomplete ? .object([("reason", .string("max_output_tokens"))]) : .null
            ),
            ("model", .string(model)), ("previous_response_id", .null), ("instructions", asked.instructions),
            ("output", .list(items.map(\.object))),
            (
                "error",
                failure.flatMap {
                    status == .cancelled
                        ? nil : .object([("code", .string(Self.code(of: $0))), ("message", .string($0.description))])
                } ?? .null
            ),
            ("tools", asked.tools), ("tool_choice", asked.toolChoice), ("truncation", .string("disabled")),
            ("parallel_tool_calls", asked.parallelCalls), ("text", .object([("format", asked.form)])),
            ("top_p", asked.topP), ("presence_penalty", asked.presencePenalty),
            ("frequency_penalty", asked.frequencyPenalty), ("top_logprobs", asked.topLogprobs),
            ("temperature", asked.temperature), ("reasoning", asked.reasoning),
            ("usage", cost), ("max_output_tokens", asked.maxOutputTokens), ("max_tool_calls", .null),
            ("store", .bool(asked.isBackground)), ("background", .bool(asked.isBackground)),
            ("service_tier", .string("default")),
            ("metadata", asked.metadata), ("safety_identifier", .null), ("prompt_cache_key", .null),
        ])
    }

    /// The protocol has a list of codes, and these are those of it that fit.
    private static func code(of failure: HTTPFailure) -> String {
        switch failure.statusCode {
        case 429: "rate_limit_exceeded"
        case 400..<500: "invalid_prompt"
        default: "server_error"
        }
    }

    /// What the turn cost; null before its end. Nothing is charged for what is kept of a prompt.
    private var cost: JSONOutput {
        guard case .complete(_, let usage) = stage else { return .null }
        return .object([
            ("input_tokens", .integer(Int64(usage.promptTokens))),
            (
                "input_tokens_details",
                .object([
                    ("cached_tokens", .integer(Int64(usage.cachedPromptTokens))), ("cache_write_tokens", .integer(0)),
                ])
            ),
            ("output_tokens", .integer(Int64(usage.completionTokens))),
            (
                "output_tokens_details",
                .object([("reasoning_tokens", .integer(Int64(clamping: reasoningTokens)))])
            ),
            ("total_tokens", .integer(Int64(usage.promptTokens) + Int64(usage.completionTokens))),
        ])
    }

    /// When the last token came, in whole seconds since 1970: what the turn took is counted from the request.
    private var completed: Int64 {
        guard case .complete(_, let usage) = stage else { return created }
        let first = usage.hasTimeToFirstToken ? usage.timeToFirstToken : usage.queueTime
        let nanoseconds = Int64(first.nanos) + Int64(usage.decodeTime.nanos)
        return created &+ first.seconds &+ usage.decodeTime.seconds &+ nanoseconds / 1_000_000_000
    }
}
