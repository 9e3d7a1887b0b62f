package import InferenceMessages
internal import StrictJSON

/// A request of Anthropic's `/v1/messages`, in the terms of hearth.v1.
package struct MessagesRequest: Equatable, TurnRequest {
    package private(set) var generate: Hearth_V1_GenerateRequest
    package private(set) var streams: Bool
    /// Whether the answer shows what the model writes to itself. The model decides how long it does, so that the budget
    /// and the effort that a request names are without effect.
    let showsThinking: Bool

    /// Fields that change nothing in the answer, and are accepted with any value.
    package static let withoutEffect: Set<String> = [
        "betas", "billing_policy", "cache_control", "context_management", "diagnostics", "fallback_credit_token",
        "metadata", "service_tier", "speed", "user_profile_id", "workspace_id",
    ]

    /// Fields that this host does not take, with the remedy.
    package static let refused: [String: String] = [
        "compaction": "shorten the conversation before it is sent", "container": "use tools of your own",
        "fallbacks": "one model answers; ask for another when it fails",
        "inference_geo": "this host answers, wherever it is", "mcp_servers": "call them yourself, as 'tools'",
    ]

    private static let known: Set<String> = [
        "max_tokens", "messages", "model", "output_config", "output_format", "stop_sequences", "stream", "system",
        "temperature", "thinking", "thread", "tool_choice", "tools", "top_k", "top_p",
    ]

    package init(_ body: [UInt8]) throws(HTTPFailure) { try self.init(body, needsMaxTokens: true) }

    init(_ body: [UInt8], needsMaxTokens: Bool) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: Self.known, withoutEffect: Self.withoutEffect, refused: Self.refused)
        guard request.node("thread") == nil else {
            // By this code clients know that they have to send the whole conversation, and do.
            throw .invalid(
                "thread", "'thread' is not supported here: nothing is stored; send the whole conversation without it",
                code: "thread_unsupported_request")
        }
        streams = try request.bool("stream") ?? false
        showsThinking = try Self.showsThinking(request)
        generate = Hearth_V1_GenerateRequest()
        generate.model = try request.string("model") ?? ""
        generate.messages = try MessagesContent.read(request)
        try readSampling(request)
        try readStopping(request, needsMaxTokens)
        try readForm(request)
        if let tools = try MessagesTools.read(request) { generate.tools = tools }
    }

    package func answer(_ stamp: AnswerStamp) -> MessagesAnswer { MessagesAnswer(to: self, stamp) }

    /// A conversation has other messages in hearth.v1, so that a path into it is that of all messages.
    package static func param(_ field: String) -> String? {
        for (own, theirs) in paths where FieldPaths.isWithin(field, own) {
            if theirs == "messages" { return theirs }
            return theirs
                + field.dropFirst(own.count).replacing("].parameters", with: "].input_schema", maxReplacements: 1)
        }
        return nil
    }

    /// The longer ones first.
    private static let paths: [(String, String)] = [
        ("messages", "messages"), ("prompt", "messages"), ("model", "model"), ("tools.tools", "tools"),
        ("tools.required_tool", "tool_choice.name"), ("tools.choice", "tool_choice"),
        ("tools.parallel_calls", "tool_choice.disable_parallel_tool_use"), ("tools", "tools"),
        ("format.json_schema", "output_config.format.schema"), ("format", "output_config.format"),
        ("stopping.max_tokens", "max_tokens"), ("stopping.stop", "stop_sequences"),
        ("sampling.temperature", "temperature"), ("sampling.top_p", "top_p"), ("sampling.top_k", "top_k"),
    ]
}

// The parts of a request, in the order of hearth.v1.
extension MessagesRequest {
    /// Whoever does not ask for thinking is not shown any: clients take the first block of such an answer for its text.
    private static func showsThinking(_ request: RequestObject) throws(HTTPFailure) -> Bool {
        guard
            let thinking = try request.object(
                "thinking", known: ["display", "type"], withoutEffect: ["budget_tokens"])
        else { return false }
        let display = try thinking.string("display")
        guard display == nil || display == "summarized" || display == "omitted" else {
            throw thinking.failure("display", "must be \"summarized\" or \"omitted\"")
        }
        switch try thinking.required("type") {
        case "enabled", "adaptive": return display != "omitted"
        case "disabled": return false
        default: throw thinking.failure("type", "must be \"enabled\", \"adaptive\" or \"disabled\"")
        }
    }

    private mutating func readSampling(_ request: RequestObject) throws(HTTPFailure) {
        if let value = try request.number("temperature") {
            guard (0...1).contains(value) else { throw request.failure("temperature", "must be a number from 0 to 1") }
            generate.sampling.temperature = value
        }
        if let value = try request.number("top_p") { generate.sampling.topP = value }
        if let value: UInt32 = try request.integer("top_k", 0...UInt32.max) { generate.sampling.topK = value }
    }

    private mutating func readStopping(_ request: RequestObject, _ needsMaxTokens: Bool) throws(HTTPFailure) {
        if let most: UInt32 = try request.integer("max_tokens", 1...UInt32.max) {
            generate.stopping.maxTokens = most
        } else if needsMaxTokens {
            throw request.failure("max_tokens", "is missing")
        }
        for (index, node) in try (request.list("stop_sequences") ?? []).enumerated() {
            guard case .string(let text) = node.value else {
                let path = "\(request.place("stop_sequences"))[\(index)]"
                throw .invalid(path, "'\(path)' must be a string, not \(node.found)")
            }
            generate.stopping.stop.append(text)
        }
    }

    /// The form has two places, an older one and a newer one.
    private mutating func readForm(_ request: RequestObject) throws(HTTPFailure) {
        let members: Set<String> = ["schema", "type"]
        let older = try request.object("output_format", known: members)
        let config = try request.object(
            "output_config", known: ["format"], withoutEffect: ["effort"],
            refused: ["task_budget": "the model decides how long it works; use 'max_tokens'"])
        let newer = try config?.object("format", known: members)
        if older != nil, newer != nil {
            throw request.failure("output_format", "and 'output_config.format' are the same: leave one out")
        }
        guard let form = newer ?? older else { return }
        guard try form.required("type") == "json_schema" else {
            throw form.failure("type", "must be \"json_schema\"")
        }
        guard let schema = try form.objectText("schema") else { throw form.failure("schema", "is missing") }
        generate.format.jsonSchema = schema
    }
}
