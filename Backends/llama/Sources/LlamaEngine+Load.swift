import BackendKit
import CLlama
import LlamaPlanning

// The model and its caches.
extension LlamaEngine {
    /// Called once, before the engine is served.
    static func begin() {
        // The library calls this where it cannot go on, and would abort without a message to the agent.
        hearth_llama_begin { message in
            let message = message.map { String(cString: $0) } ?? "no reason was given"
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

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
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
        let (plan, loading) = try plan(request)
        let model = try LlamaModel(loading, chatTemplate: request.chatTemplate, progress: progress)
        let count = try prepare(model, plan, request)
        modelID = request.model
        hasOtherTemplate = request.chatTemplate != nil
        sequences = Array(repeating: nil, count: count)
        caches = CacheTable(count: count)
        self.model = model
        if let templateWarning { Backend.log(templateWarning) }
        Self.isLoading = false
        return LoadedModel(maxContextTokens: contextTokens, maxSequences: count)
    }

    /// Plans the sequences that there is memory for, and whether there is room for weights in an order with quicker
    /// kernels.
    private mutating func plan(_ request: LoadRequest) throws(EngineFault) -> (MemoryPlan, hearth_llama_loading) {
        let model = try LlamaModel(HEARTH_LLAMA_MEASURED, chatTemplate: request.chatTemplate) { _ in }
        let trained = Int(model.facts.context_tokens)
        let isContextWanted = request.contextTokens > 0
        let wanted = isContextWanted ? request.contextTokens : Limits.contextTokensDefaultMax
        contextTokens = trained > 0 ? min(wanted, trained) : wanted
        let sequences = min(max(1, request.maxSequences), Limits.sequencesMax)
        // The measured model's vocabulary takes the room that the loaded one will take.
        defer { withExtendedLifetime(model) {} }
        let (cost, copiesBytes) = try model.needs(contextTokens: min(contextTokens, Limits.measuredContextTokensMax))
        func planned(beside bytes: UInt64) -> MemoryPlan? {
            MemoryPlan(cost, contextTokens: contextTokens, isContextWanted: isContextWanted, sequences: sequences) {
                let (all, overflow) = $0.addingReportingOverflow(bytes)
                return !overflow && hearth_llama_has_room(all)
            }
        }
        guard let plan = planned(beside: 0) else { throw noMemory(cost, isContextWanted: isContextWanted) }
        if plan.contextTokens < contextTokens || plan.sequences < sequences {
            Backend.log(
                """
                there is memory for \(plan.sequences) of \(sequences) sequences of \(plan.contextTokens) tokens; \
                for more raise memoryMebibytes in the manifest, or lower contextTokens
                """)
        }
        guard copiesBytes > 0 else { return (plan, HEARTH_LLAMA_MAPPED) }
        if plan.hasRoom(forCopies: planned(beside: copiesBytes)) { return (plan, HEARTH_LLAMA_REORDERED) }
        Backend.log(
            """
            the weights stay in the order of the file; for quicker prompts raise memoryMebibytes in the manifest by \
            \((copiesBytes >> 20) + 1)
            """)
        return (plan, HEARTH_LLAMA_MAPPED)
    }

    /// Makes caches for as many sequences as there is memory for.
    private mutating func prepare(
        _ model: LlamaModel, _ plan: MemoryPlan, _ request: LoadRequest
    ) throws(EngineFault) -> Int {
        contextTokens = plan.contextTokens
        var count = plan.sequences
        while count > 0 {
            if model.prepare(contextTokens: contextTokens, sequences: count, threads: request.threads) { return count }
            count /= 2
            if count > 0 { Backend.log("there was no memory for \(count * 2) sequences; trying \(count)") }
        }
        let error = LlamaModel.firstError
        throw EngineFault(
            .badModel,
            LoadFailure.speaksOfMemory(error) || error.isEmpty
                ? "there is no memory for a context of \(contextTokens) tokens; raise memoryMebibytes in the manifest"
                : "llama.cpp makes no context for the model: \(LoadFailure.plain(error))")
    }

    private func noMemory(_ cost: MemoryPlan.Cost, isContextWanted: Bool) -> EngineFault {
        let tokens = isContextWanted ? contextTokens : min(contextTokens, MemoryPlan.contextTokensMin)
        let needed = cost.bytes(contextTokens: tokens, sequences: 1)
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
