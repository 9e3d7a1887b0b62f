import BackendKit
import CLlama
import LlamaPlanning

/// llama.cpp as an engine with continuous batching: every step computes one token of each sequence that generates, and
/// as much of new prompts as its time allows.
struct LlamaEngine: Engine {
    static let name = "llama"
    static let version = String(cString: hearth_llama_version())
    static let capabilities: [Capability] = [
        .chat, .countTokens, .tokenize, .splitWeights, .chatTemplate, .inspect, .reasoning, .stopStrings, .adapters,
        .draftLookup, .draftModel, .samplers, .logitBias, .minTokens, .logprobs, .parts, .tools, .grammar, .embed,
        .rerank, .continues,
    ]

    var model: LlamaModel?
    var modelID = ""
    /// The model's settings have a chat template in place of that in its file.
    var hasOtherTemplate = false
    var contextTokens = 0
    /// The cells of all caches together.
    var cells = 0
    /// By number; nil while the number is free, or while its prompt is not tokenized yet.
    var sequences: [Sequence?] = []
    var caches = CacheTable(count: 0)
    var adapters = AdapterTable()
    var adapterTurns = AdapterTurns()
    /// What drafted tokens cost, of each source that the model's settings name.
    var draftCosts: [DraftSource: DraftCost] = [:]
    /// The model that drafts tokens, where the settings name one.
    var drafter: Drafter?
    /// The time that it took to draft the tokens of this step.
    var draftNanoseconds: UInt64 = 0
    /// The step before had no room for drafted tokens.
    var skipsDraft = false
    var arrivals: UInt64 = 0
    /// The number of prompt tokens that a step computes.
    var pace = PrefillPace()
    /// Reused by every step: the sequences of the batch, and where each finds its logits (-1: nowhere yet).
    var planned: [Planned] = []
    /// The number of `planned` that compute their prompts.
    var promptSequences = 0
    /// The open queries for vectors and scores, and the one whose input was computed last.
    var embeddings: [Int: Embedding] = [:]
    var lastEmbedding: Int?
    /// Long texts that wait to be tokenized.
    var texts = TextQueue<TextOwner>()
    var pending: [TextOwner.Kind: PendingText] = [:]
    var tokenizing: (owner: TextOwner, work: TextTokenizing)?
    /// The processor time of that work when it was last looked at.
    var tokenizingNanoseconds: UInt64 = 0

    /// A sequence's share of the batch.
    struct Planned {
        var sequence: Int
        var tokens: Int
        /// Tokens that were drafted to follow, each with logits behind those of the last token.
        var draft: ArraySlice<Int32> = []
        var source = DraftSource.lookup
        var logitsIndex: Int32 = -1
    }

    /// The owner of a text. A number may be used again while the text of its last owner is still being tokenized;
    /// `arrival` tells them apart.
    struct TextOwner: Hashable {
        enum Kind: Hashable {
            case sequence(Int)
            case query(Int)
            case embedding(Int)

            var isSequence: Bool { if case .sequence = self { true } else { false } }
        }

        var kind: Kind
        var arrival: UInt64
    }

    /// What a prompt is to become.
    struct TextForm {
        /// Whether only the text is wanted that the template makes of its messages.
        var wantsText = false
        /// More tokens than these are only counted.
        var tokensMax: Int
        /// Whether text gets the special tokens that the vocabulary begins and ends it with.
        var addsSpecial = true
    }

    /// A long text that is not tokenized yet, or whose tokens were not taken yet.
    struct PendingText {
        var owner: TextOwner
        var request: GenerateRequest
        var form: TextForm
        var longestRun: Int
        var tokens: Result<LlamaModel.Tokens, EngineFault>?
    }

    mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int? {
        guard let tokens = try tokens(of: request, for: .query(query)) else { return nil }
        switch tokens {
        case .all(let tokens, _): return tokens.count
        case .tooMany(let count): return count
        case .text: throw EngineFault(.internal, "a text came where tokens were asked for")
        }
    }

    mutating func tokenize(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> TokenList? {
        let model = try loadedModel()
        guard let tokens = try tokens(of: request, for: .query(query)) else { return nil }
        var list = TokenList()
        for token in try whole(tokens) {
            model.withText(of: token) { list.append(UInt32(bitPattern: token), text: $0) }
        }
        return list
    }

    mutating func text(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> [UInt8]? {
        let model = try loadedModel()
        if case .text(let text) = request.prompt { return Array(text.utf8) }
        guard let tokens = try tokens(of: request, for: .query(query), form(wantsText: true)) else { return nil }
        if case .text(let text) = tokens { return text }
        var text: [UInt8] = []
        for token in try whole(tokens) { model.withText(of: token) { text.append(contentsOf: $0) } }
        return text
    }

    /// - Parameter most: the most tokens that would have fitted; nil: as many as leave room for a completion.
    func whole(_ tokens: LlamaModel.Tokens, most: Int? = nil) throws(EngineFault) -> [Int32] {
        switch tokens {
        case .all(let tokens, _): return tokens
        case .tooMany(let count): throw overflow("\(count)", most: most)
        case .text: throw EngineFault(.internal, "a text came where tokens were asked for")
        }
    }

    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {
        guard try loadedModel().facts.pooling == HEARTH_LLAMA_NO_POOLING else {
            throw EngineFault(.unsupported, "\"\(modelID)\" continues no text")
        }
        if let tokens = try tokens(of: request, for: .sequence(sequence)) { try begin(sequence, request, tokens) }
    }

    /// Begins a sequence whose prompt was tokenized.
    mutating func begin(_ sequence: Int, _ request: GenerateRequest, _ tokens: LlamaModel.Tokens) throws(EngineFault) {
        let model = try loadedModel()
        let prompt = try whole(tokens)
        var parser: AnswerParser?
        if case .all(_, let answer) = tokens { parser = answer }
        guard !prompt.isEmpty else {
            throw EngineFault(.invalidArgument, "the prompt has no tokens; say something")
        }
        guard prompt.count < contextTokens else { throw overflow("\(prompt.count)") }
        let generated = try generated(of: request, behind: prompt.count, model)
        try checkBiases(request.sampling.logitBias, model)
        guard let sampler = model.sampler(request, prompt: prompt, contextTokens: contextTokens) else {
            throw EngineFault(.overloaded, "there is no memory for another sequence; try again later")
        }
        if let grammar = request.grammar {
            try model.hold(sampler, to: grammar, given: request.prompt.continued ?? "")
        }
        let holdsCalls = parser.map { model.hold(sampler, toCallsOf: $0) } ?? false
        let adapters = try adapterSet(of: request)
        let scope = adapters.scope(within: request.cacheScope)
        guard sequences.indices.contains(sequence), sequences[sequence] == nil,
            let taken = caches.take(for: prompt + generated, scope: scope)
        else { throw EngineFault(.internal, "the sequence \(sequence) is not free") }
        let (held, beginning) = reuse(taken)
        let room = contextTokens - prompt.count
        arrivals &+= 1
        sequences[sequence] = Sequence(
            number: sequence, cache: taken.cache, scope: scope, adapters: adapters, arrival: arrivals,
            tokens: prompt + generated, unheard: generated.count,
            computed: held, promptTokens: PromptTokens(total: prompt.count, cached: min(held, prompt.count)),
            tokensMax: prompt.count + max(1, min(room, Int(request.stopping.maxTokens ?? .max))),
            stopTokenIDs: request.stopping.stopTokenIDs, ignoresEndOfTurn: request.stopping.ignoresEndOfTurn,
            sampler: sampler, isHeld: request.grammar != nil || holdsCalls, logprobs: request.logprobs,
            answer: AnswerText(request.stopping, parser, callsOnce: request.tools?.parallelCalls == false),
            beginning: beginning,
            shared: taken.source?.isInUse == false ? held : 0)
    }

    /// The tokens of the completion that an earlier process computed, behind so many of the prompt.
    private func generated(
        of request: GenerateRequest, behind prompt: Int, _ model: LlamaModel
    ) throws(EngineFault) -> [Int32] {
        let ids = request.generatedTokenIDs
        if let index = ids.firstIndex(where: { $0 >= model.facts.vocabulary }) {
            throw EngineFault(
                .invalidArgument,
                """
                generated_token_ids[\(index)] is \(ids[index]); allowed: a token of "\(modelID)", 0 to \
                \(model.facts.vocabulary - 1)
                """)
        }
        guard prompt + ids.count < contextTokens else {
            throw EngineFault(
                .contextOverflow,
                """
                the prompt has \(prompt) tokens, \(ids.count) were generated, and the context of "\(modelID)" holds \
                \(contextTokens); shorten the prompt, or ask for fewer tokens
                """)
        }
        return ids.map(Int32.init)
    }

    private func checkBiases(_ biases: [Sampling.LogitBias], _ model: LlamaModel) throws(EngineFault) {
        for (index, entry) in biases.enumerated() where entry.token >= model.facts.vocabulary {
            throw EngineFault(
                .invalidArgument,
                """
                sampling.logit_bias[\(index)].token_id is \(entry.token); allowed: a token of "\(modelID)", 0 to \
                \(model.facts.vocabulary - 1)
                """)
        }
    }

    private func adapterSet(of request: GenerateRequest) throws(EngineFault) -> AdapterSet {
        do throws(AdapterTable.Unknown) {
            return try adapters.set(for: request.adapters?.map { ($0.name, $0.scale) })
        } catch {
            let list = error.known.isEmpty ? "it has none" : "it has: \(error.known.joined(separator: ", "))"
            throw EngineFault(.invalidArgument, "\"\(modelID)\" has no adapter \"\(error.name)\"; \(list)")
        }
    }

    /// The number of tokens of a prompt that its cache holds, and the beginning that another sequence still computes.
    private mutating func reuse(_ taken: CacheTable.Taken) -> (held: Int, beginning: SharedBeginning?) {
        if let source = taken.source, !source.isInUse {
            return (copy(cache: source.cache, to: taken.cache, tokens: source.tokens) ? source.tokens : 0, nil)
        }
        return (
            forget(cache: taken.cache, from: taken.held) ? taken.held : 0,
            taken.source.map { SharedBeginning(tokens: $0.tokens, cache: $0.cache) }
        )
    }

    mutating func cancel(_ sequence: Int) -> PromptTokens {
        drop(.sequence(sequence))
        return release(sequence)?.promptTokens ?? PromptTokens(total: 0)
    }

    /// Frees a sequence; its cache keeps the computed tokens.
    @discardableResult
    mutating func release(_ sequence: Int) -> Sequence? {
        guard let ended = remove(sequence) else { return nil }
        handOver(cache: ended.cache, computed: ended.computed)
        let isKept = caches.giveBack(
            ended.cache,
            holding: CacheTable.Kept(
                scope: ended.scope, tokens: Array(ended.tokens.prefix(ended.computed)),
                promptTokens: ended.promptTokens.total))
        if !isKept { forget(cache: ended.cache, from: 0) }
        return ended
    }

    /// Frees a sequence, and forgets its computed tokens.
    mutating func discard(_ sequence: Int) -> Sequence? {
        guard let ended = remove(sequence) else { return nil }
        handOver(cache: ended.cache, computed: nil)
        forget(cache: ended.cache, from: 0)
        caches.giveBackEmpty(ended.cache)
        return ended
    }

    private mutating func remove(_ sequence: Int) -> Sequence? {
        guard sequences.indices.contains(sequence), let ended = sequences[sequence] else { return nil }
        sequences[sequence] = nil
        for number in sequences.indices { sequences[number]?.awaitsEnd = false }
        return ended
    }

    func loadedModel() throws(EngineFault) -> LlamaModel {
        guard let model else { throw EngineFault(.internal, "no model is loaded") }
        return model
    }

    func overflow(_ count: String, most: Int? = nil) -> EngineFault {
        EngineFault(
            .contextOverflow,
            """
            the prompt has \(count) tokens and the context of "\(modelID)" holds \(contextTokens); \
            shorten the prompt to at most \(most ?? contextTokens - 1)
            """)
    }
}

extension Sampling {
    /// Merges the request's settings into the defaults of the model's authors. The agent has checked the ranges of the
    /// request; a default out of range is clamped here.
    func merged(into defaults: hearth_llama_sampling) -> hearth_llama_sampling {
        var merged = defaults
        func set(_ field: inout Float, _ value: Float?, _ range: ClosedRange<Float>) {
            let value = value.flatMap { $0.isFinite ? $0 : nil } ?? field
            field = min(max(value, range.lowerBound), range.upperBound)
        }
        set(&merged.temperature, temperature, 0...100)
        if merged.temperature < Limits.temperatureMin { merged.temperature = 0 }
        set(&merged.top_p, topP, 0...1)
        set(&merged.min_p, minP, 0...1)
        set(&merged.frequency_penalty, frequencyPenalty, -100...100)
        set(&merged.presence_penalty, presencePenalty, -100...100)
        set(&merged.repetition_penalty, repetitionPenalty, 0.01...100)
        set(&merged.typical_p, typicalP, 0...1)
        set(&merged.top_n_sigma, topNSigma, 0...100)
        set(&merged.xtc_probability, xtcProbability, 0...1)
        set(&merged.xtc_threshold, xtcThreshold, 0...0.5)
        set(&merged.dry_multiplier, dryMultiplier, 0...10)
        set(&merged.dry_base, dryBase, 1...10)
        if let topK { merged.top_k = Int32(clamping: topK) }
        if let penaltyWindow { merged.penalty_window = Int32(clamping: penaltyWindow) }
        if let dryAllowedLength { merged.dry_allowed_length = Int32(clamping: max(1, dryAllowedLength)) }
        if let dryWindow { merged.dry_window = Int32(clamping: dryWindow) }
        let seed = self.seed ?? UInt64.random(in: 0...UInt64.max)
        // llama.cpp seeds with 32 bits, and takes the highest number for "any".
        merged.seed = min(UInt32(truncatingIfNeeded: seed ^ (seed >> 32)), UInt32.max - 1)
        return merged
    }

    /// The values that hold where nobody says otherwise, for consumers to see. A window is at most the context.
    init(_ defaults: hearth_llama_sampling, contextTokens: Int) {
        self.init()
        (temperature, topP, minP) = (defaults.temperature, defaults.top_p, defaults.min_p)
        topK = UInt32(clamping: defaults.top_k)
        (frequencyPenalty, presencePenalty) = (defaults.frequency_penalty, defaults.presence_penalty)
        repetitionPenalty = defaults.repetition_penalty
        penaltyWindow = UInt32(clamping: min(Int(defaults.penalty_window), contextTokens))
        (typicalP, topNSigma) = (defaults.typical_p, defaults.top_n_sigma)
        (xtcProbability, xtcThreshold) = (defaults.xtc_probability, defaults.xtc_threshold)
        (dryMultiplier, dryBase) = (defaults.dry_multiplier, defaults.dry_base)
        dryAllowedLength = UInt32(clamping: defaults.dry_allowed_length)
        dryWindow = UInt32(clamping: min(Int(defaults.dry_window), contextTokens))
    }
}
