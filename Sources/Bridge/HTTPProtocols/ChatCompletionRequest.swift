package import InferenceMessages
internal import StrictJSON

/// A request of OpenAI's `/v1/chat/completions`, in the terms of hearth.v1.
package struct ChatCompletionRequest: Equatable, TurnRequest {
    package var generate: Hearth_V1_GenerateRequest
    package var streams: Bool
    /// Whether a stream ends with a chunk of what it cost.
    package var includesUsage: Bool

    /// Fields that change nothing in the answer, and are accepted with any value.
    package static let withoutEffect: Set<String> = [
        "metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "safety_identifier", "service_tier", "user",
    ]

    private static let refused: [String: String] = [
        "functions": "use 'tools'", "function_call": "use 'tool_choice'", "audio": "answers are text",
        "verbosity": "say it in the prompt", "web_search_options": "leave it out", "moderation": "leave it out",
    ]

    private static let known: Set<String> = [
        "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "messages", "min_p",
        "min_tokens", "modalities", "model", "n", "parallel_tool_calls", "presence_penalty", "reasoning_effort",
        "repetition_penalty", "response_format", "seed", "stop", "store", "stream", "stream_options", "temperature",
        "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
    ]

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: Self.known, withoutEffect: Self.withoutEffect, refused: Self.refused)
        if try request.bool("store") == true {
            throw request.failure("store", "cannot be true: nothing is stored here")
        }
        if let modalities = try request.list("modalities"), modalities.contains(where: { $0.value != .string("text") })
        {
            throw request.failure("modalities", "may only be [\"text\"]: answers are text")
        }
        // The model decides whether and how long it reasons; all that it reasons is sent.
        _ = try request.string("reasoning_effort")
        (streams, includesUsage) = try request.streaming()

        generate = Hearth_V1_GenerateRequest()
        generate.model = try request.string("model") ?? ""
        generate.messages = try ChatMessages.read(request)
        try generate.readSampling(request)
        try generate.readStopping(request)
        try generate.readForm(request)
        try generate.readTools(request)
        if let choices: UInt32 = try request.integer("n", 1...16), choices > 1 { generate.choices = choices }
        let wantsLogprobs = try request.bool("logprobs") ?? false
        if let likeliest: UInt32 = try request.integer("top_logprobs", 0...20) {
            guard wantsLogprobs else { throw request.failure("top_logprobs", "needs 'logprobs' to be true") }
            generate.output.logprobs = likeliest
        } else if wantsLogprobs {
            generate.output.logprobs = 0
        }
    }

    package func answer(_ stamp: AnswerStamp) -> ChatCompletionAnswer { ChatCompletionAnswer(to: self, stamp) }

    package static func param(_ field: String) -> String? { FieldPaths.own(field, paths) }

    /// The longer ones first.
    private static let paths: [(String, String)] =
        [
            ("messages.messages", "messages"), ("prompt", "messages"), ("tools.tools", "tools"),
            ("tools.required_tool", "tool_choice"), ("tools.choice", "tool_choice"),
            ("tools.parallel_calls", "parallel_tool_calls"),
            ("format.json_schema", "response_format.json_schema.schema"), ("format", "response_format"),
            ("output.logprobs", "top_logprobs"), ("stopping.max_tokens", "max_tokens"),
        ] + FieldPaths.openAI
}
