package import InferenceMessages
internal import StrictJSON
internal import SwiftProtobuf

/// A request of OpenAI's `/v1/responses`, in the terms of hearth.v1. The request has the whole conversation: only what was
/// asked for in the background is kept, for a time (`StoredResponses`).
package struct ResponsesRequest: TurnRequest {
    package var generate: Hearth_V1_GenerateRequest
    package var streams: Bool
    /// The members of an answer that say what was asked, in the answer's order.
    let asked: Asked

    /// What an answer repeats of its request. A member that the request leaves out is what the protocol says it is
    /// then, because clients need one; what is in force is what the model's owner has set.
    struct Asked: Sendable {
        let instructions: JSONOutput
        let tools: JSONOutput
        let toolChoice: JSONOutput
        let parallelCalls: JSONOutput
        let form: JSONOutput
        let topP: JSONOutput
        let presencePenalty: JSONOutput
        let frequencyPenalty: JSONOutput
        let topLogprobs: JSONOutput
        let temperature: JSONOutput
        let reasoning: JSONOutput
        let maxOutputTokens: JSONOutput
        let metadata: JSONOutput
        /// Whether the response is computed whether or not anybody reads it, and can be asked for later.
        let isBackground: Bool
    }

    /// What of a request in the background an answer repeats; of the rest of it nothing is known.
    init(model: String, asked: Asked) {
        generate = .with { $0.model = model }
        streams = false
        self.asked = asked
    }

    /// Fields that change nothing in the answer, and are accepted with any value.
    package static let withoutEffect: Set<String> = [
        "client_metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
        "service_tier", "user",
    ]

    private static let refused: [String: String] = [
        "previous_response_id": "nothing is stored here; send the whole conversation as 'input'",
        "conversation": "nothing is stored here; send the whole conversation as 'input'",
        "prompt": "no prompts are stored here; send its text as 'instructions'",
        "context_management": "the conversation is taken as it is; shorten it yourself",
        "max_tool_calls": "this host carries out no tools; count the calls yourself",
        "max_tokens": "use 'max_output_tokens'", "messages": "use 'input'", "response_format": "use 'text.format'",
        "moderation": "leave it out",
    ]

    private static let known: Set<String> = [
        "background", "frequency_penalty", "include", "input", "instructions", "logit_bias", "max_output_tokens",
        "metadata", "min_p", "model", "parallel_tool_calls", "presence_penalty", "reasoning", "repetition_penalty",
        "seed", "stop", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_k",
        "top_logprobs", "top_p", "truncation",
    ]

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: Self.known, withoutEffect: Self.withoutEffect, refused: Self.refused)
        let isBackground = try request.bool("background") ?? false
        let stores = try request.bool("store")
        if stores == true, !isBackground {
            throw request.failure(
                "store", "cannot be true: only a response in the background is stored here; say false, or leave it out")
        }
        if stores == false, isBackground {
            throw request.failure(
                "store", "cannot be false: a response in the background is stored until its time is over; leave it out")
        }
        if let truncation = try request.string("truncation"), truncation != "disabled" {
            throw request.failure("truncation", "must be \"disabled\": an input that does not fit is refused")
        }
        // The model decides whether and how long it reasons; all that it reasons is sent.
        let reasoning = try request.object(
            "reasoning", known: ["effort", "summary"], withoutEffect: ["context", "generate_summary"])
        let effort = try reasoning?.string("effort")
        let summary = try reasoning?.string("summary")
        streams = try request.streaming().streams

        generate = Hearth_V1_GenerateRequest()
        // So that what is refused is told at once, and what waits can be asked for.
        generate.wantsQueueEvents = isBackground
        generate.model = try request.string("model") ?? ""
        generate.messages = try ResponsesInput.read(request)
        try generate.readSampling(request)
        try generate.readStopping(request)
        if let most: UInt32 = try request.integer("max_output_tokens", 1...UInt32.max) {
            generate.stopping.maxTokens = most
        }
        let form = try generate.readResponsesForm(request)
        let tools = try generate.readResponsesTools(request)
        let choice = try generate.readResponsesToolChoice(request)
        try generate.readResponsesLogprobs(request)
        let metadata = try request.objectText("metadata")
        func shown(_ key: String, otherwise: JSONOutput) -> JSONOutput {
            request.node(key).map { JSONOutput($0) } ?? otherwise
        }
        asked = Asked(
            instructions: shown("instructions", otherwise: .null), tools: .list(tools), toolChoice: choice,
            parallelCalls: shown("parallel_tool_calls", otherwise: .bool(true)), form: form,
            topP: shown("top_p", otherwise: .integer(1)),
            presencePenalty: shown("presence_penalty", otherwise: .integer(0)),
            frequencyPenalty: shown("frequency_penalty", otherwise: .integer(0)),
            topLogprobs: shown("top_logprobs", otherwise: .integer(0)),
            temperature: shown("temperature", otherwise: .integer(1)),
            reasoning: .object([
                ("effort", effort.map { .string($0) } ?? .null), ("summary", summary.map { .string($0) } ?? .null),
            ]),
            maxOutputTokens: shown("max_output_tokens", otherwise: .null), metadata: .text(metadata ?? "{}"),
            isBackground: isBackground)
    }

    package var isBackground: Bool { asked.isBackground }

    package func answer(_ stamp: AnswerStamp) -> ResponsesAnswer { ResponsesAnswer(to: self, stamp) }

    package static func param(_ field: String) -> String? {
        // Items and messages are not the same: several items can be one message.
        FieldPaths.isWithin(field, "messages") ? "input" : FieldPaths.own(field, paths)
    }

    /// The longer ones first.
    private static let paths: [(String, String)] =
        [
            ("prompt", "input"), ("tools.tools", "tools"), ("tools.required_tool", "tool_choice"),
            ("tools.choice", "tool_choice"), ("tools.parallel_calls", "parallel_tool_calls"),
            ("format.json_schema", "text.format.schema"), ("format", "text.format"),
            ("output.logprobs", "top_logprobs"), ("stopping.max_tokens", "max_output_tokens"),
        ] + FieldPaths.openAI
}
