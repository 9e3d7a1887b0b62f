internal import BackendIPC
internal import GRPC

/// The fields of a request that need a capability of the backend: the one table of them. inference.proto says the same at
/// each field.
enum CapabilityTable {
    /// One field of a request.
    struct Row: Equatable {
        /// Its path, as in inference.proto.
        let field: String
        /// The name of the capability that it needs.
        let capability: String
        /// What to do where the backend lacks it.
        let remedy: String
    }

    private struct Rule {
        let row: Row
        /// Whether a request has the field.
        let isAsked: @Sendable (TurnRequest) -> Bool

        init(
            _ field: String, _ capability: String, remedy: String? = nil,
            _ isAsked: @escaping @Sendable (TurnRequest) -> Bool
        ) {
            row = Row(field: field, capability: capability, remedy: remedy ?? "leave \(field) out of the request")
            self.isAsked = isAsked
        }
    }

    private static let rules: [Rule] = [
        Rule("messages", "chat", remedy: "send text or token_ids instead of messages") {
            if case .messages = $0.prompt { true } else { false }
        },
        Rule("messages.parts", "parts", remedy: "send content instead of messages.parts") {
            $0.messageContents.parts > 0
        },
        Rule("messages.parts.image", "images") { $0.messageContents.hasImages },
        Rule("messages.parts.audio", "audio") { $0.messageContents.hasAudio },
        Rule(
            "messages", "tools",
            remedy: "leave name, tool_calls, reasoning and messages of ROLE_TOOL out of the request"
        ) { $0.messageContents.hasToolFields },
        Rule("tools", "tools") { $0.tools != nil },
        Rule("adapters", "adapters") { $0.adapters?.isEmpty == false },
        Rule("sampling.penalty_window", "samplers") { $0.sampling.penaltyWindow != nil },
        Rule("sampling.typical_p", "samplers") { $0.sampling.typicalP != nil },
        Rule("sampling.top_n_sigma", "samplers") { $0.sampling.topNSigma != nil },
        Rule("sampling.xtc_probability", "samplers") { $0.sampling.xtcProbability != nil },
        Rule("sampling.xtc_threshold", "samplers") { $0.sampling.xtcThreshold != nil },
        Rule("sampling.dry_multiplier", "samplers") { $0.sampling.dryMultiplier != nil },
        Rule("sampling.dry_base", "samplers") { $0.sampling.dryBase != nil },
        Rule("sampling.dry_allowed_length", "samplers") { $0.sampling.dryAllowedLength != nil },
        Rule("sampling.dry_window", "samplers") { $0.sampling.dryWindow != nil },
        Rule("sampling.dry_sequence_breakers", "samplers") { $0.sampling.sequenceBreakers != nil },
        Rule("sampling.logit_bias", "logit_bias") { !$0.sampling.logitBias.isEmpty },
        Rule("stopping.min_tokens", "min_tokens") { $0.stopping.minTokens != nil },
        Rule("output.logprobs", "logprobs") { $0.logprobs != nil },
        Rule("format", "grammar") { $0.format != nil },
    ]

    /// The rows of the fields that a request has.
    static func rows(of request: TurnRequest) -> [Row] { rules.filter { $0.isAsked(request) }.map(\.row) }

    /// What every request for a completion needs.
    static let completion = Row(
        field: "prompt", capability: Hello.generate,
        remedy: "send Embed or Rerank, as ListModels says, or ask another model")

    /// The rows of a request for vectors or scores.
    static func rows(of request: EmbeddingRequest) -> [Row] {
        let capability = request.task.capability
        let own = Row(
            field: request.task == .embed ? "inputs" : "documents", capability: capability,
            remedy: "ask a model that ListModels names it for")
        guard request.hasMessages else { return [own] }
        var conversation = TurnRequest()
        conversation.prompt = .messages(count: 1)
        conversation.messageContents = request.messageContents
        return [own] + rows(of: conversation)
    }

    /// The same for a request for a completion, with these rows.
    static func check(completion rows: [Row], _ capabilities: [String], model: String) throws(Status) {
        guard capabilities.contains(completion.capability) else {
            throw StatusMapping.lacks(completion.capability, model: model, remedy: completion.remedy)
        }
        try check(rows, capabilities, model: model)
    }

    /// Throws UNIMPLEMENTED for the first of these rows whose capability the backend of a model lacks.
    static func check(_ rows: [Row], _ capabilities: [String], model: String) throws(Status) {
        guard let row = rows.first(where: { !capabilities.contains($0.capability) }) else { return }
        throw StatusMapping.lacks(row.capability, model: model, remedy: row.remedy)
    }
}
