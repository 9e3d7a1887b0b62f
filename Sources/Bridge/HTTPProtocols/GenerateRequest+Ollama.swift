internal import InferenceMessages
internal import StrictJSON

/// The options of Ollama's protocol.
package enum OllamaOptions {
    /// Options of how a model is loaded, and of what is kept of a text that outgrows the context: the host's owner says
    /// the former, and there is no latter. They are accepted with any value.
    package static let withoutEffect: Set<String> = [
        "draft_num_predict", "embedding_only", "f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch", "num_ctx",
        "num_gpu", "num_keep", "num_thread", "numa", "use_mlock", "use_mmap", "vocab_only",
    ]

    static let known: Set<String> = [
        "frequency_penalty", "min_p", "num_predict", "presence_penalty", "repeat_last_n", "repeat_penalty", "seed",
        "stop", "temperature", "top_k", "top_p", "typical_p",
    ]

    static let refused: [String: String] = [
        "mirostat": "use 'temperature' and 'min_p'", "mirostat_eta": "use 'temperature' and 'min_p'",
        "mirostat_tau": "use 'temperature' and 'min_p'", "penalize_newline": "leave it out", "tfs_z": "use 'min_p'",
    ]
}

// The parts of a request that Ollama's two ways to ask for a turn have.
extension Hearth_V1_GenerateRequest {
    /// Members of both, for `RequestObject`.
    static let ollamaMembers: Set<String> = [
        "_debug_render_only", "format", "keep_alive", "logprobs", "model", "options", "shift", "stream", "think",
        "top_logprobs", "truncate",
    ]

    private static let refusedUnlessEmpty: [(key: String, remedy: String)] = [
        ("truncate", "nothing is cut from a prompt that does not fit; shorten it"),
        ("shift", "an answer ends where the model's context is full; leave it out"),
        ("_debug_render_only", "leave it out"),
    ]

    mutating func readOllama(_ request: RequestObject) throws(HTTPFailure) {
        try request.refuse(unlessEmpty: Self.refusedUnlessEmpty)
        model = try request.ollamaModel()
        if let seconds = try request.keepAliveSeconds() { keepAlive = OllamaTime.duration(seconds) }
        try readOllamaOptions(request)
        try readOllamaForm(request)
        try Self.checkThink(request)
        let wantsLogprobs = try request.bool("logprobs") ?? false
        let likeliest: UInt32 = try request.integer("top_logprobs", 0...20) ?? 0
        if wantsLogprobs {
            output.logprobs = likeliest
        } else if likeliest > 0 {
            throw request.failure("top_logprobs", "needs 'logprobs' to be true")
        }
    }

    private mutating func readOllamaOptions(_ request: RequestObject) throws(HTTPFailure) {
        guard
            let options = try request.object(
                "options", known: OllamaOptions.known, withoutEffect: OllamaOptions.withoutEffect,
                refused: OllamaOptions.refused)
        else { return }
        // Most of them have OpenAI's names, one level deeper.
        try readSampling(options)
        try readStopping(options)
        // -1: a random one.
        if hasSampling, sampling.seed == UInt64(bitPattern: -1) { sampling.clearSeed() }
        if let value = try options.number("typical_p") { sampling.typicalP = value }
        if let value = try options.number("repeat_penalty") { sampling.repetitionPenalty = value }
        if let value: Int64 = try options.integer("repeat_last_n", -1...Int64(UInt32.max)) {
            // -1: the whole context, and no window is longer.
            sampling.penaltyWindow = value < 0 ? UInt32.max : UInt32(value)
        }
        if let value: Int64 = try options.integer("num_predict", -2...Int64(UInt32.max)) {
            guard value != 0 else {
                throw options.failure("num_predict", "must be 1 or more, or -1 for an answer as long as the model's")
            }
            // -1 and -2: until the end, or until the context is full.
            if value > 0 { stopping.maxTokens = UInt32(value) }
        }
    }

    private mutating func readOllamaForm(_ request: RequestObject) throws(HTTPFailure) {
        switch request.node("format")?.value {
        case nil, .string(""): break
        case .string("json"): format.json = Hearth_V1_Json()
        case .object: format.jsonSchema = try request.objectText("format") ?? ""
        default: throw request.failure("format", "must be \"json\" or a JSON schema, an object")
        }
    }

    /// Whether a model reasons is its own and its chat template's: what it writes to itself is told apart either way.
    private static func checkThink(_ request: RequestObject) throws(HTTPFailure) {
        switch request.node("think")?.value {
        case nil, .bool, .string("low"), .string("medium"), .string("high"), .string("max"): break
        default: throw request.failure("think", "must be true, false, \"low\", \"medium\", \"high\" or \"max\"")
        }
    }
}

/// Paths of hearth.v1 in Ollama's protocol.
enum OllamaPaths {
    static func param(_ field: String, _ prompt: [(String, String)]) -> String {
        nested(FieldPaths.own(field, prompt + paths))
    }

    /// The longer ones first.
    private static let paths: [(String, String)] = [
        ("tools.tools", "tools"), ("format.json_schema", "format"), ("format.json", "format"),
        ("output.logprobs", "top_logprobs"), ("stopping.max_tokens", "options.num_predict"),
        ("stopping.stop", "options.stop"), ("sampling.repetition_penalty", "options.repeat_penalty"),
        ("sampling.penalty_window", "options.repeat_last_n"), ("sampling", "options"),
    ]

    /// Tools and calls have their members one level deeper, except for a call's id.
    private static func nested(_ path: String) -> String {
        var parts = path.split(separator: ".").map(String.init)
        for index in parts.indices.dropFirst().reversed() where parts[index] != "id" {
            let isOfTool = parts[index - 1].hasPrefix("tools[") || parts[index - 1].hasPrefix("tool_calls[")
            if isOfTool { parts.insert("function", at: index) }
        }
        if parts.last == "reasoning" { parts[parts.count - 1] = "thinking" }
        return parts.joined(separator: ".")
    }
}
