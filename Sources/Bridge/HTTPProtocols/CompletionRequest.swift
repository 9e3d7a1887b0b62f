package import InferenceMessages

/// A request of OpenAI's `/v1/completions`, in the terms of hearth.v1: the model continues a text as it is, without a
/// chat template.
package struct CompletionRequest: Equatable, TurnRequest {
    package var generate: Hearth_V1_GenerateRequest
    package var streams: Bool
    /// Whether a stream ends with a chunk of what it cost.
    package var includesUsage: Bool

    /// So many tokens where the request leaves `max_tokens` out, as the protocol has it: a text that no turn ends would
    /// go on until the context is full.
    package static let maxTokensDefault: UInt32 = 16

    /// Fields that change nothing in the answer, and are accepted with any value.
    package static let withoutEffect: Set<String> = ["user"]

    private static let refused: [String: String] = [
        "suffix": "write what the model has for filling gaps into 'prompt', as token ids",
        "max_completion_tokens": "use 'max_tokens'", "messages": "use /v1/chat/completions",
    ]

    private static let known: Set<String> = [
        "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "min_p", "min_tokens", "model",
        "n", "presence_penalty", "prompt", "repetition_penalty", "seed", "stop", "stream", "stream_options",
        "temperature", "top_k", "top_p",
    ]

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: Self.known, withoutEffect: Self.withoutEffect, refused: Self.refused)
        if try request.bool("echo") == true {
            throw request.failure("echo", "cannot be true: put the prompt before the answer yourself")
        }
        (streams, includesUsage) = try request.streaming()

        generate = Hearth_V1_GenerateRequest()
        generate.model = try request.string("model") ?? ""
        let prompts = try request.inputs("prompt")
        guard prompts.count == 1 else {
            throw request.failure("prompt", "has \(prompts.count) prompts: send a request for each, or use 'n'")
        }
        switch prompts[0] {
        case .text(let text): generate.text = text
        case .tokenIDs(let ids): generate.tokenIds.ids = ids
        }
        try generate.readSampling(request)
        try generate.readStopping(request)
        if !generate.stopping.hasMaxTokens { generate.stopping.maxTokens = Self.maxTokensDefault }
        let choices: UInt32 = try request.integer("n", 1...16) ?? 1
        if choices > 1 { generate.choices = choices }
        if let candidates: UInt32 = try request.integer("best_of", 1...16), candidates != choices {
            throw request.failure("best_of", "must be what 'n' is: every completion is an answer; choose among them")
        }
        if let likeliest: UInt32 = try request.integer("logprobs", 0...5) { generate.output.logprobs = likeliest }
    }

    package func answer(_ stamp: AnswerStamp) -> CompletionAnswer { CompletionAnswer(to: self, stamp) }

    package static func param(_ field: String) -> String? { FieldPaths.own(field, paths) }

    private static let paths: [(String, String)] =
        [
            ("text", "prompt"), ("token_ids.ids", "prompt"), ("token_ids", "prompt"), ("output.logprobs", "logprobs"),
            ("stopping.max_tokens", "max_tokens"),
        ] + FieldPaths.openAI
}
