internal import BackendIPC
internal import GRPC
internal import OutputGrammar
internal import SandboxPolicy

/// The checks of a request that need no backend and that `RequestScan` has not made on its bytes. A request that passes
/// is in the ranges that inference.proto states.
enum RequestValidation {
    /// The range of google.protobuf.Duration.
    private static let durationSecondsMax: Int64 = 315_576_000_000
    /// Longer than anybody keeps a chat open; only the owner may have a model kept for longer.
    private static let keepAliveSecondsMax: Int64 = 86_400
    private static let nanosecondsMax: Int32 = 999_999_999

    /// Throws INVALID_ARGUMENT with the field, what it holds and what it may hold.
    static func check(_ request: TurnRequest, _ limits: InferenceLimits) throws(Status) {
        switch request.prompt {
        case nil: throw invalid("prompt", "is missing", "one of messages, text and token_ids")
        case .text(0): throw invalid("text", "is empty", "one byte or more")
        case .tokenIDs(0): throw invalid("token_ids", "is empty", "one id or more")
        case .messages(0): throw invalid("messages", "is empty", "one message or more")
        case .text, .tokenIDs, .messages: break
        }
        try check(request.sampling)
        try check(request.sampling.logitBias)
        try check(request.stopping)
        if let count = request.logprobs, count > ContractLimits.logprobAlternativesMax {
            throw invalid("output.logprobs", "is \(count)", "0 to \(ContractLimits.logprobAlternativesMax)")
        }
        if let count = request.choices, !(1...limits.choicesMax).contains(count) {
            throw invalid("choices", "is \(count)", "1 to \(limits.choicesMax)")
        }
        try check(request.adapters ?? [])
        if let tools = request.tools { try check(tools, request) }
        if let time = request.queueTime { try check(time, "max_queue_time", "do not wait", durationSecondsMax) }
        if let time = request.keepAlive { try check(keepAlive: time) }
        if let time = request.resumableFor {
            try check(time, "resumable_for", "the turn ends with its call", durationSecondsMax)
            if time.milliseconds > limits.resumableMillisecondsMax {
                let most = limits.resumableMillisecondsMax / 1_000
                throw invalid("resumable_for", "is \(time.milliseconds) ms", "at most \(most) s")
            }
        }
    }

    static func check(keepAlive time: TurnRequest.Duration) throws(Status) {
        try check(time, "keep_alive", "give it up at once", keepAliveSecondsMax)
    }

    /// The grammar of the form that a request wants, as its backend gets it; nil: it wants none. Throws INVALID_ARGUMENT for a
    /// form that cannot be held.
    static func grammar(of request: TurnRequest) throws(Status) -> String? {
        guard let format = request.format else { return nil }
        guard let kind = format.kind else {
            throw invalid("format", "names no form", "one of json_schema, grammar, choice and json")
        }
        guard !request.stopping.ignoresEndOfTurn else {
            throw invalid(
                "stopping.ignore_end_of_turn",
                "is set, and format says where the completion ends; leave one of them out")
        }
        do throws(OutputFormat.Refusal) {
            return try kind.grammar()
        } catch {
            throw invalid(error.field, error.description)
        }
    }

    /// Throws INVALID_ARGUMENT where the method does not answer for such a prompt.
    static func check(_ prompt: TurnRequest.Prompt?, for method: RequestOrder.Method) throws(Status) {
        switch (method, prompt) {
        case (.detokenize, .messages), (.detokenize, .text):
            throw invalid("prompt", "is not token_ids", "token_ids, whose text Detokenize tells")
        case (.applyTemplate, .text), (.applyTemplate, .tokenIDs):
            throw invalid("prompt", "is not messages", "messages, which ApplyTemplate renders")
        default: break
        }
    }

    private static func check(_ tools: TurnRequest.Tools, _ request: TurnRequest) throws(Status) {
        guard case .messages = request.prompt else {
            throw invalid("tools", "goes with another prompt than messages", "messages, whose chat template shows them")
        }
        if request.messageContents.endsWithAssistant {
            throw invalid("tools", "goes with messages that end with the model's", "a last message of another role")
        }
        if request.format != nil, tools.mayBeCalled {
            throw invalid("tools", "goes with format", "one of the two, or TOOL_CHOICE_NONE")
        }
        guard (0...3).contains(tools.choice) else {
            throw invalid(
                "tools.choice", "is \(tools.choice)", "TOOL_CHOICE_AUTO, TOOL_CHOICE_NONE or TOOL_CHOICE_REQUIRED")
        }
        if tools.choice == 3, tools.names.isEmpty {
            throw invalid(
                "tools.choice", "is TOOL_CHOICE_REQUIRED, and tools.tools is empty", "one tool or more with it")
        }
        guard !tools.requiredTool.isEmpty else { return }
        if tools.choice != 3 {
            throw invalid("tools.required_tool", "is set without TOOL_CHOICE_REQUIRED", "only with that choice")
        }
        if !tools.names.contains(tools.requiredTool) {
            throw invalid("tools.required_tool", "is '\(tools.requiredTool)'", "the name of one of tools.tools")
        }
    }

    private static func check(
        _ time: TurnRequest.Duration, _ field: String, _ zero: String, _ secondsMax: Int64
    ) throws(Status) {
        guard time.seconds >= 0, time.nanoseconds >= 0 else {
            throw invalid(field, "is negative", "zero (\(zero)) or more")
        }
        guard time.seconds <= secondsMax, time.nanoseconds <= nanosecondsMax else {
            throw invalid(
                field, "is \(time.seconds) s and \(time.nanoseconds) ns",
                "at most \(secondsMax) s, and below a second of nanoseconds")
        }
    }

    private static func check(_ sampling: TurnRequest.Sampling) throws(Status) {
        func check(_ name: String, _ value: Float?, _ range: SamplingRange) throws(Status) {
            guard let value, !range.contains(value) else { return }
            throw invalid("sampling.\(name)", "is \(value)", "\(range)")
        }
        try check("temperature", sampling.temperature, .temperature)
        try check("top_p", sampling.topP, .topP)
        try check("min_p", sampling.minP, .minP)
        try check("frequency_penalty", sampling.frequencyPenalty, .penalty)
        try check("presence_penalty", sampling.presencePenalty, .penalty)
        try check("repetition_penalty", sampling.repetitionPenalty, .repetitionPenalty)
        try check("typical_p", sampling.typicalP, .typicalP)
        try check("top_n_sigma", sampling.topNSigma, .topNSigma)
        try check("xtc_probability", sampling.xtcProbability, .xtcProbability)
        try check("xtc_threshold", sampling.xtcThreshold, .xtcThreshold)
        try check("dry_multiplier", sampling.dryMultiplier, .dryMultiplier)
        try check("dry_base", sampling.dryBase, .dryBase)
        let lengths = SamplingRange.dryAllowedLength
        if let length = sampling.dryAllowedLength, !lengths.contains(length) {
            throw invalid(
                "sampling.dry_allowed_length", "is \(length)", "\(lengths.lowerBound) to \(lengths.upperBound)")
        }
    }

    private static func check(_ biases: [TurnRequest.LogitBias]) throws(Status) {
        var tokens: Set<UInt32> = []
        for (index, entry) in biases.enumerated() {
            let field = "sampling.logit_bias[\(index)]"
            guard SamplingRange.logitBias.contains(entry.bias) else {
                throw invalid("\(field).bias", "is \(entry.bias)", "\(SamplingRange.logitBias)")
            }
            guard tokens.insert(entry.tokenID).inserted else {
                throw invalid("\(field).token_id", "is \(entry.tokenID), which stands twice", "each token once")
            }
        }
    }

    private static func check(_ stopping: TurnRequest.Stopping) throws(Status) {
        if stopping.maxTokens == 0 {
            throw invalid("stopping.max_tokens", "is 0", "1 or more; leave it out for what is left of the context")
        }
        if let least = stopping.minTokens, let most = stopping.maxTokens, least > most {
            throw invalid("stopping.min_tokens", "is \(least)", "at most max_tokens, here \(most)")
        }
        let hasEnd = stopping.maxTokens != nil || !stopping.stop.isEmpty || !stopping.stopTokenIDs.isEmpty
        if stopping.ignoresEndOfTurn, !hasEnd {
            throw invalid(
                "stopping.ignore_end_of_turn", "is set without another end",
                "set max_tokens, stop or stop_token_ids as well")
        }
    }

    private static func check(_ adapters: [TurnRequest.Adapter]) throws(Status) {
        var names: Set<String> = []
        for (index, adapter) in adapters.enumerated() {
            let field = "adapters.adapters[\(index)]"
            guard ModelAdapter.isName(adapter.name) else {
                throw invalid(
                    "\(field).name", "is '\(adapter.name)'",
                    "1 to \(ModelAdapter.nameBytesMax) letters, digits, '.', '_' and '-'")
            }
            guard names.insert(adapter.name).inserted else {
                throw invalid("\(field).name", "is '\(adapter.name)', which stands twice", "each adapter once")
            }
            guard let scale = adapter.scale, !SamplingRange.adapterScale.contains(scale) else { continue }
            throw invalid("\(field).scale", "is \(scale)", "\(SamplingRange.adapterScale)")
        }
    }

    /// Throws INVALID_ARGUMENT for an adapter that the model does not have, with those that it has.
    static func check(_ chosen: [TurnRequest.Adapter], of model: String, _ known: [ModelAdapter]) throws(Status) {
        for (index, adapter) in chosen.enumerated() where !known.contains(where: { $0.name == adapter.name }) {
            let list = known.isEmpty ? "it has none" : "it has: \(known.map(\.name).joined(separator: ", "))"
            throw invalid(
                "adapters.adapters[\(index)].name", "is '\(adapter.name)', and '\(model)' has no such adapter; \(list)")
        }
    }

    static func invalid(_ field: String, _ found: String, _ allowed: String) -> Status {
        invalid(field, "\(found); allowed: \(allowed)")
    }

    /// INVALID_ARGUMENT for the content of a field; `description` goes on after the field's name.
    static func invalid(_ field: String, _ description: String) -> Status {
        Status(
            .invalidArgument, "\(field) \(description)",
            details: [.badRequest(field: field, description: description)])
    }
}
