import BackendKit
import CLlama
import LlamaPlanning

// The model and its caches.
extension LlamaEngine {
    /// Called once, before the engine is served.
    static func begin() {
        // The library calls this where it cannot go on, and would abort without a message to the agent.
        hearth_llama_begin { message in
            let message = message.map { LoadFailure.plain(String(cString: $0)) } ?? "no reason was given"
            let sentence =
                LoadFailure.speaksOfMemory(message) || LoadFailure.speaksOfMemory(LlamaModel.firstError)
                ? "llama.cpp gave up for lack of memory (\(message)); raise memoryMebibytes in the manifest, or lower "
                    + "contextTokens or maxSequences"
                : "llama.cpp gave up: \(message)"
            Backend.end(EngineFault(LlamaEngine.isLoading ? .badModel : .internal, sentence))
        }
    }

    /// Until the model is loaded, a failure of the library is one of the model: loading it again would fail again. The
    /// loading thread writes and reads it; the library's own threads read it only while that thread waits for them.
    nonisolated(unsafe) private static var isLoading = true

    mutating func inspect(_ request: LoadRequest) throws(EngineFault) -> InspectedModel {
        try open(request)
        let measured = try measure(request)
        let plan = measured.plan
        let context = measured.cost.bytes(cells: plan.cells, sequences: plan.sequences)
        let copies = measured.loading == HEARTH_LLAMA_REORDERED ? measured.copiesBytes : 0
        // The program, and the measured models' vocabularies and adapters, which take the room that the loaded ones will
        // take.
        let limit = hearth_llama_memory_limit()
        let used = limit > 0 ? limit - MemoryPlan.most(below: limit, fits: hearth_llama_has_room) : 0
        var inspected = InspectedModel(
            offer: LoadedModel(maxContextTokens: plan.contextTokens, maxSequences: plan.sequences),
            memoryBytes: used + context + copies)
        inspected.cacheTokens = plan.cells
        inspected.contextBytes = context
        inspected.copiedWeightsBytes = copies
        measured.model.describe(&inspected)
        return inspected
    }

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        try open(request)
        let (plan, loading) = try planned(request)
        let model = try LlamaModel(loading, request, progress: progress)
        let draft = try draftModel(loading, request, for: model)
        let embeds = model.facts.pooling != HEARTH_LLAMA_NO_POOLING
        let count = try embeds ? prepareEmbedding(model, plan, request) : prepare(model, draft, plan, request).sequences
        modelID = request.model
        hasOtherTemplate = request.chatTemplate != nil
        sequences = Array(repeating: nil, count: count)
        caches = CacheTable(count: count)
        adapters = AdapterTable(
            request.adapters.map { AdapterTable.Adapter(name: $0.name, scale: $0.scale, isDefault: $0.isDefault) })
        if request.draftLookup { draftCosts[.lookup] = DraftCost() }
        if let draft {
            draftCosts[.model] = DraftCost()
            drafter = Drafter(draft, for: model, count: count)
        }
        self.model = model
        if let templateWarning { Backend.log(templateWarning) }
        Self.isLoading = false
        var loaded = LoadedModel(maxContextTokens: contextTokens, maxSequences: count)
        (loaded.lacking, loaded.embeddingDimensions) = lacking(model)
        if embeds { return loaded }
        loaded.samplingDefaults = Sampling(
            Sampling().merged(into: model.defaultSampling), contextTokens: contextTokens)
        return loaded
    }

    /// What of the engine's capabilities a model lacks, and the numbers of its vectors.
    private func lacking(_ model: LlamaModel) -> (lacking: [Capability], dimensions: Int) {
        let ofCompletions: [Capability] = [
            .generate, .reasoning, .stopStrings, .adapters, .draftLookup, .draftModel, .samplers, .logitBias,
            .minTokens, .logprobs, .grammar,
        ]
        let ofTemplate: [Capability] = model.facts.has_chat_template ? [] : [.chat, .parts, .tools]
        switch model.facts.pooling {
        case HEARTH_LLAMA_NO_POOLING: return ([.embed, .rerank], 0)
        case HEARTH_LLAMA_RANK: return (ofCompletions + ofTemplate + [.embed], 0)
        default: return (ofCompletions + ofTemplate + [.rerank], Int(model.facts.embedding_numbers))
        }
    }

    private func open(_ request: LoadRequest) throws(EngineFault) {
        if let feature = hearth_llama_missing_feature() {
            throw EngineFault(
                .badModel,
                """
                this processor has no \(String(cString: feature)), which this llama backend needs: it was built for \
                \(String(cString: hearth_llama_level())); build it on this machine, or for x86-64-v3
                """)
        }
        guard let descriptor = request.weightsDescriptor else {
            throw EngineFault(
                .badModel, "no weights were handed over; name a GGUF file as the model's \"file\" in the manifest")
        }
        try LlamaModel.open([descriptor] + request.furtherWeightsDescriptors)
        try LlamaModel.open(request.adapters)
        if let draft = request.draftWeightsDescriptor { try LlamaModel.open(draft: draft) }
    }

    /// Loads the draft model; nil where the request has none.
    private func draftModel(
        _ loading: hearth_llama_loading, _ request: LoadRequest, for model: LlamaModel
    ) throws(EngineFault) -> LlamaModel? {
        request.draftWeightsDescriptor == nil ? nil : try LlamaModel(loading, draftingFor: model)
    }

    private func options(_ request: LoadRequest) throws(EngineFault) -> ModelOptions {
        do throws(ModelOptions.Refusal) {
            return try ModelOptions(request.options)
        } catch {
            throw EngineFault(.badModel, error.sentence)
        }
    }

    /// What loading a model takes, and what there is memory for.
    private struct Measured {
        /// Not loaded: it only tells what it would take.
        let model: LlamaModel
        let draft: LlamaModel?
        let cost: MemoryPlan.Cost
        /// Weights that have quicker kernels in another order.
        let copiesBytes: UInt64
        let usual: MemoryPlan.Wish
        let plan: MemoryPlan
        let loading: hearth_llama_loading
    }

    /// Plans what there is memory for, and whether there is room for weights in an order with quicker kernels.
    private mutating func measure(_ request: LoadRequest) throws(EngineFault) -> Measured {
        let model = try LlamaModel(HEARTH_LLAMA_MEASURED, request) { _ in }
        if model.facts.pooling != HEARTH_LLAMA_NO_POOLING { return try measureEmbedding(model, request) }
        let draft = try draftModel(HEARTH_LLAMA_MEASURED, request, for: model)
        let options = try options(request)
        let usual = try wish(request, options, model)
        contextTokens = usual.contextTokens
        // The measured models' vocabularies and adapters take the room that the loaded ones will take.
        defer { withExtendedLifetime((model, draft)) {} }
        var (cost, copiesBytes) = (MemoryPlan.Cost(), UInt64(0))
        for model in [model] + (draft.map { [$0] } ?? []) {
            let needs = try model.needs(
                contextTokens: min(contextTokens, Limits.measuredContextTokensMax), isShared: usual.sharedCells != nil,
                cacheType: options.cacheType)
            cost += needs.context
            copiesBytes += needs.reorderedWeightsBytes
        }
        let stacks = Self.stacksBytes(request)
        func planned(_ wish: MemoryPlan.Wish, beside bytes: UInt64) -> MemoryPlan? {
            MemoryPlan(cost, wish) {
                let (all, overflow) = $0.addingReportingOverflow(bytes + stacks)
                return !overflow && hearth_llama_has_room(all)
            }
        }
        guard let plan = planned(usual, beside: 0) else { throw noMemory(cost, request) }
        let isReordered = copiesBytes > 0 && plan.hasRoom(forCopies: planned(usual, beside: copiesBytes))
        return Measured(
            model: model, draft: draft, cost: cost, copiesBytes: copiesBytes, usual: usual, plan: plan,
            loading: isReordered ? HEARTH_LLAMA_REORDERED : HEARTH_LLAMA_MAPPED)
    }

    /// The same for a model that makes vectors or scores: one batch of as many tokens as its context, and no caches beside it.
    private mutating func measureEmbedding(
        _ model: LlamaModel, _ request: LoadRequest
    ) throws(EngineFault) -> Measured {
        guard request.adapters.isEmpty, !request.draftLookup, request.draftWeightsDescriptor == nil else {
            throw EngineFault(
                .badModel,
                "this model continues no text; leave \"adapters\" and \"draft\" out of the model's settings")
        }
        _ = try options(request)
        let trained = Int(model.facts.context_tokens)
        let wanted = request.contextTokens > 0 ? request.contextTokens : Limits.embeddingTokensUsual
        contextTokens = trained > 0 ? min(wanted, trained) : wanted
        guard model.prepare(embeddingTokens: contextTokens, threads: 1) else {
            throw EngineFault(
                .badModel, "llama.cpp makes no context for the model: \(LoadFailure.plain(LlamaModel.firstError))")
        }
        let needs = model.contextNeeds
        let cost = MemoryPlan.Cost(fixedBytes: needs.contextBytes)
        let usual = MemoryPlan.Wish(
            contextTokens: contextTokens, isContextWanted: true, sequences: 1, sharedCells: contextTokens,
            longestTokens: contextTokens)
        func planned(beside bytes: UInt64) -> MemoryPlan? {
            MemoryPlan(cost, usual) {
                let (all, overflow) = $0.addingReportingOverflow(bytes + Self.stacksBytes(request))
                return !overflow && hearth_llama_has_room(all)
            }
        }
        guard let plan = planned(beside: 0) else { throw noMemory(cost, request) }
        let isReordered =
            needs.reorderedWeightsBytes > 0
            && plan.hasRoom(forCopies: planned(beside: needs.reorderedWeightsBytes))
        return Measured(
            model: model, draft: nil, cost: cost, copiesBytes: needs.reorderedWeightsBytes, usual: usual, plan: plan,
            loading: isReordered ? HEARTH_LLAMA_REORDERED : HEARTH_LLAMA_MAPPED)
    }

    /// Makes the context of a model that makes vectors or scores; returns the number of its sequences, of which it needs none.
    private func prepareEmbedding(
        _ model: LlamaModel, _ plan: MemoryPlan, _ request: LoadRequest
    ) throws(EngineFault) -> Int {
        guard model.prepare(embeddingTokens: plan.contextTokens, threads: request.threads) else {
            throw EngineFault(
                .badModel, "llama.cpp makes no context for the model: \(LoadFailure.plain(LlamaModel.firstError))")
        }
        return plan.sequences
    }

    /// What the owner and the model would have, without the memory for a context longer than usual.
    private func wish(
        _ request: LoadRequest, _ options: ModelOptions, _ model: LlamaModel
    ) throws(EngineFault) -> MemoryPlan.Wish {
        let trained = Int(model.facts.context_tokens)
        let isContextWanted = request.contextTokens > 0
        let wanted = isContextWanted ? request.contextTokens : Limits.contextTokensUsual
        var context = trained > 0 ? min(wanted, trained) : wanted
        let sequences = min(max(1, request.maxSequences), Limits.sequencesMax)
        var shared = model.prefersSeparateCaches ? nil : context * sequences
        if let cells = options.cacheTokens {
            guard !isContextWanted || context <= cells else {
                throw EngineFault(
                    .badModel,
                    """
                    the option cacheTokens is \(cells), fewer than the \(context) of one context; raise it, or lower \
                    contextTokens
                    """)
            }
            context = min(context, cells)
            shared = cells
        }
        return MemoryPlan.Wish(
            contextTokens: context, isContextWanted: isContextWanted, sequences: sequences, sharedCells: shared,
            longestTokens: max(trained, context))
    }

    /// The plan to load by; the log tells what it leaves out for lack of memory.
    private mutating func planned(
        _ request: LoadRequest
    ) throws(EngineFault) -> (MemoryPlan, hearth_llama_loading) {
        let measured = try measure(request)
        let (plan, usual) = (measured.plan, measured.usual)
        if let cells = usual.sharedCells, plan.cells < cells {
            Backend.log(
                """
                there is memory for \(plan.cells) tokens of all sequences together instead of \(cells); for more raise \
                memoryMebibytes in the manifest
                """)
        }
        if plan.sequences < usual.sequences || plan.contextTokens < usual.contextTokens {
            Backend.log(
                """
                there is memory for \(plan.sequences) of \(usual.sequences) sequences of \(plan.contextTokens) tokens; \
                for more raise memoryMebibytes in the manifest, or lower contextTokens
                """)
        }
        if measured.copiesBytes > 0, measured.loading == HEARTH_LLAMA_MAPPED {
            Backend.log(
                """
                the weights stay in the order of the file; for quicker prompts raise memoryMebibytes in the manifest by \
                \((measured.copiesBytes >> 20) + 1)
                """)
        }
        return (plan, measured.loading)
    }

    /// Makes the caches of a plan, or of what of it there is memory for.
    private mutating func prepare(
        _ model: LlamaModel, _ draft: LlamaModel?, _ plan: MemoryPlan, _ request: LoadRequest
    ) throws(EngineFault) -> MemoryPlan {
        var plan = plan
        let cacheType = try options(request).cacheType
        while true {
            func isPrepared(_ model: LlamaModel) -> Bool {
                model.prepare(
                    cells: plan.cells, isShared: plan.isShared, sequences: plan.sequences, threads: request.threads,
                    cacheType: cacheType)
            }
            if isPrepared(model), draft.map(isPrepared) ?? true {
                contextTokens = plan.contextTokens
                cells = plan.cells
                return plan
            }
            guard let smaller = plan.smaller else { break }
            Backend.log("there was no memory for \(plan.cells) tokens of \(plan.sequences) sequences; trying less")
            plan = smaller
        }
        let error = LlamaModel.firstError
        throw EngineFault(
            .badModel,
            LoadFailure.speaksOfMemory(error) || error.isEmpty
                ? "there is no memory for a context of \(plan.contextTokens) tokens; raise memoryMebibytes in the manifest"
                : "llama.cpp makes no context for the model: \(LoadFailure.plain(error))")
    }

    /// The stacks of the threads that compute, for each model, and of the one that tokenizes long texts.
    private static func stacksBytes(_ request: LoadRequest) -> UInt64 {
        let models = request.draftWeightsDescriptor == nil ? 1 : 2
        return UInt64(models * max(1, request.threads) + 1) * hearth_llama_stack_bytes()
    }

    private func noMemory(_ cost: MemoryPlan.Cost, _ request: LoadRequest) -> EngineFault {
        let isContextWanted = request.contextTokens > 0
        let tokens = isContextWanted ? contextTokens : min(contextTokens, MemoryPlan.contextTokensMin)
        let needed = cost.bytes(cells: tokens, sequences: 1) &+ Self.stacksBytes(request)
        let free = MemoryPlan.most(below: needed, fits: hearth_llama_has_room)
        let limit = hearth_llama_memory_limit()
        let allowed = limit > 0 ? "of the \(limit >> 20) MiB that the sandbox allows in all" : "on this machine"
        return EngineFault(
            .badModel,
            """
            one context of \(tokens) tokens needs about \((needed >> 20) + 1) MiB beside the weights, and \(free >> 20) MiB \
            are left \(allowed); raise memoryMebibytes in the manifest by \(((needed - free) >> 20) + 1) at least\
            \(isContextWanted ? ", or lower contextTokens" : "")
            """)
    }
}
