import BackendKit
import CLlama

/// llama.cpp as an engine with continuous batching: every step computes one token of each sequence that generates, and
/// as much of new prompts as its time allows.
struct LlamaEngine: Engine {
    static let name = "llama"
    static let version = String(cString: hearth_llama_version())
    static let capabilities: [Capability] = [.chat, .countTokens]

    var model: LlamaModel?
    var modelID = ""
    var contextTokens = 0
    /// By number; nil while it is free.
    var sequences: [Sequence?] = []
    var caches = CacheTable(count: 0)
    var arrivals: UInt64 = 0
    /// How many prompt tokens a step computes; follows the time that they take.
    var prefillTokens = Limits.batchTokens
    /// Reused by every step: the sequences of the batch, and where each finds its logits (-1: nowhere yet).
    var planned: [Planned] = []

    /// A sequence's share of the batch.
    struct Planned {
        var sequence: Int
        var tokens: Int
        var logitsIndex: Int32 = -1
    }

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        if let feature = hearth_llama_missing_feature() {
            throw EngineFault(
                .badModel, "this processor has no \(String(cString: feature)), which the llama backend needs")
        }
        guard let descriptor = request.weightsDescriptor else {
            throw EngineFault(
                .badModel, "no weights were handed over; name a GGUF file as the model's \"file\" in the manifest")
        }
        let model = try LlamaModel(descriptor: descriptor, progress: progress)
        let trained = Int(model.facts.context_tokens)
        let wanted = request.contextTokens > 0 ? request.contextTokens : Limits.contextTokensDefaultMax
        contextTokens = trained > 0 ? min(wanted, trained) : wanted
        let count = try prepare(model, sequences: min(max(1, request.maxSequences), Limits.sequencesMax), request)
        modelID = request.model
        sequences = Array(repeating: nil, count: count)
        caches = CacheTable(count: count)
        self.model = model
        return LoadedModel(maxContextTokens: contextTokens, maxSequences: count)
    }

    /// Makes caches for as many sequences as there is memory for, at most `sequences`.
    private func prepare(
        _ model: LlamaModel, sequences: Int, _ request: LoadRequest
    ) throws(EngineFault) -> Int {
        var count = sequences
        while count > 0 {
            let settings = hearth_llama_context_settings(
                context_tokens: UInt32(clamping: contextTokens), sequences: UInt32(count),
                batch_tokens: UInt32(Limits.batchTokens), threads: UInt32(clamping: max(1, request.threads)),
                separate_caches: model.facts.weights_bytes <= Limits.separateCachesWeightsBytesMax)
            let cells = settings.context_tokens.multipliedReportingOverflow(by: settings.sequences)
            if !cells.overflow, model.prepare(settings) { return count }
            count /= 2
            if count > 0 { Backend.log("no memory for \(count * 2) sequences; trying \(count)") }
        }
        throw EngineFault(
            .badModel,
            """
            there is no memory for one context of \(contextTokens) tokens; lower contextTokens or raise \
            memoryMebibytes in the manifest
            """)
    }

    mutating func countTokens(_ request: GenerateRequest) throws(EngineFault) -> Int {
        switch try tokenize(request.prompt) {
        case .all(let tokens): tokens.count
        case .tooMany(let count): count
        }
    }

    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {
        let model = try loadedModel()
        let prompt: [Int32]
        switch try tokenize(request.prompt) {
        case .all(let tokens) where tokens.isEmpty:
            throw EngineFault(.invalidArgument, "the prompt has no tokens; say something")
        case .all(let tokens) where tokens.count < contextTokens: prompt = tokens
        case .all(let tokens): throw overflow("\(tokens.count)")
        case .tooMany(let count): throw overflow("\(count)")
        }
        guard let sampler = model.sampler(request.sampling.merged(into: model.defaultSampling)) else {
            throw EngineFault(.overloaded, "there is no memory for another sequence; try again later")
        }
        guard sequences.indices.contains(sequence), sequences[sequence] == nil, let taken = caches.take(for: prompt)
        else { throw EngineFault(.internal, "the sequence \(sequence) is not free") }
        // Penalties look back over the prompt too.
        for token in prompt.suffix(Int(HEARTH_LLAMA_PENALTY_WINDOW_TOKENS)) { sampler.accept(token) }
        let held = model.forget(cache: taken.cache, from: taken.held) ? taken.held : 0
        let room = contextTokens - prompt.count
        arrivals &+= 1
        sequences[sequence] = Sequence(
            cache: taken.cache, arrival: arrivals, tokens: prompt, computed: held,
            promptTokens: PromptTokens(total: prompt.count, cached: held),
            tokensMax: prompt.count + max(1, min(room, Int(request.stopping.maxTokens ?? .max))),
            stopTokenIDs: request.stopping.stopTokenIDs, ignoresEndOfTurn: request.stopping.ignoresEndOfTurn,
            sampler: sampler)
    }

    mutating func cancel(_ sequence: Int) -> PromptTokens { release(sequence)?.promptTokens ?? PromptTokens(total: 0) }

    /// Frees a sequence; its cache keeps what it computed.
    @discardableResult
    mutating func release(_ sequence: Int) -> Sequence? {
        guard sequences.indices.contains(sequence), let ended = sequences[sequence] else { return nil }
        sequences[sequence] = nil
        caches.giveBack(ended.cache, holding: Array(ended.tokens.prefix(ended.computed)))
        return ended
    }

    func loadedModel() throws(EngineFault) -> LlamaModel {
        guard let model else { throw EngineFault(.internal, "no model is loaded") }
        return model
    }
}

// Prompts.
extension LlamaEngine {
    private func tokenize(_ prompt: GenerateRequest.Prompt) throws(EngineFault) -> LlamaModel.Tokens {
        let model = try loadedModel()
        switch prompt {
        case .text(let text):
            try checkLength(text.utf8.count)
            return try model.tokenize(text, atMost: contextTokens)
        case .messages(let messages):
            guard model.facts.has_chat_template else {
                throw EngineFault(
                    .unsupported, "the model \"\(modelID)\" has no chat template that llama.cpp knows; send text")
            }
            try checkLength(messages.reduce(0) { $0 + $1.content.utf8.count })
            if let index = messages.firstIndex(where: { $0.content.utf8.contains(0) }) {
                throw EngineFault(.invalidArgument, "message \(index + 1) holds a NUL character; leave it out")
            }
            return try model.tokenize(messages, atMost: contextTokens)
        case .tokenIDs(let ids):
            if let id = ids.first(where: { $0 >= model.facts.vocabulary }) {
                throw EngineFault(
                    .invalidArgument, "\(id) is no token of \"\(modelID)\"; its ids are below \(model.facts.vocabulary)"
                )
            }
            return ids.count <= contextTokens ? .all(ids.map(Int32.init)) : .tooMany(ids.count)
        }
    }

    /// Turning megabytes of text into tokens would hold up every other sequence; what cannot fit is not tried.
    private func checkLength(_ bytes: Int) throws(EngineFault) {
        let fewest = bytes / max(1, Int(try loadedModel().facts.longest_piece_bytes))
        if fewest >= contextTokens { throw overflow("at least \(fewest)") }
    }

    private func overflow(_ count: String) -> EngineFault {
        EngineFault(
            .contextOverflow,
            """
            the prompt has \(count) tokens and the context of "\(modelID)" holds \(contextTokens); \
            shorten the prompt to at most \(contextTokens - 1)
            """)
    }
}

extension Sampling {
    /// What the request leaves open is as the model's authors have it. The agent checked the ranges; here a wrong value
    /// is only kept from ending the process.
    fileprivate func merged(into defaults: hearth_llama_sampling) -> hearth_llama_sampling {
        var merged = defaults
        func set(_ field: inout Float, _ value: Float?, _ range: ClosedRange<Float>) {
            if let value, value.isFinite { field = min(max(value, range.lowerBound), range.upperBound) }
        }
        set(&merged.temperature, temperature, 0...100)
        set(&merged.top_p, topP, 0...1)
        set(&merged.min_p, minP, 0...1)
        set(&merged.frequency_penalty, frequencyPenalty, -100...100)
        set(&merged.presence_penalty, presencePenalty, -100...100)
        set(&merged.repetition_penalty, repetitionPenalty, 0.01...100)
        if let topK { merged.top_k = Int32(clamping: topK) }
        let seed = self.seed ?? UInt64.random(in: 0...UInt64.max)
        // llama.cpp seeds with 32 bits, and takes the highest number for "any".
        merged.seed = min(UInt32(truncatingIfNeeded: seed ^ (seed >> 32)), UInt32.max - 1)
        return merged
    }
}
