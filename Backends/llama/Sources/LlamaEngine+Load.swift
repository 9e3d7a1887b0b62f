import BackendKit
import CLlama
import LlamaPlanning

// The model and its caches.
extension LlamaEngine {
    /// Called once, before the engine is served.
    static func begin() {
        // The library calls this where it cannot go on, and would abort without a word to the agent.
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

    /// Until the model is loaded a failing of the library is the model's: loading it again would fail again. Written and
    /// read by the thread that loads, and read by the library's own threads only while that waits for them.
    nonisolated(unsafe) private static var isLoading = true

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
        let count = try prepare(model, request)
        modelID = request.model
        sequences = Array(repeating: nil, count: count)
        caches = CacheTable(count: count)
        self.model = model
        if let templateWarning { Backend.log(templateWarning) }
        Self.isLoading = false
        return LoadedModel(maxContextTokens: contextTokens, maxSequences: count)
    }

    /// Makes caches for as many sequences as there is memory for.
    private mutating func prepare(_ model: LlamaModel, _ request: LoadRequest) throws(EngineFault) -> Int {
        let trained = Int(model.facts.context_tokens)
        let wanted = request.contextTokens > 0 ? request.contextTokens : Limits.contextTokensDefaultMax
        contextTokens = trained > 0 ? min(wanted, trained) : wanted
        let sequences = min(max(1, request.maxSequences), Limits.sequencesMax)
        let cost = model.contextCost
        guard
            let plan = MemoryPlan(
                cost, contextTokens: contextTokens, isContextWanted: request.contextTokens > 0, sequences: sequences,
                fits: hearth_llama_has_room)
        else { throw noMemory(cost, isContextWanted: request.contextTokens > 0) }
        if plan.contextTokens < contextTokens || plan.sequences < sequences {
            Backend.log(
                """
                there is memory for \(plan.sequences) of \(sequences) sequences of \(plan.contextTokens) tokens; \
                for more raise memoryMebibytes in the manifest, or lower contextTokens
                """)
        }
        contextTokens = plan.contextTokens
        var count = plan.sequences
        while count > 0 {
            let settings = hearth_llama_context_settings(
                context_tokens: UInt32(clamping: contextTokens), sequences: UInt32(count),
                batch_tokens: UInt32(Limits.batchTokens), threads: UInt32(clamping: max(1, request.threads)),
                separate_caches: model.facts.weights_bytes <= Limits.separateCachesWeightsBytesMax)
            let cells = settings.context_tokens.multipliedReportingOverflow(by: settings.sequences)
            if !cells.overflow, model.prepare(settings) { return count }
            count /= 2
            if count > 0 { Backend.log("there was no memory for \(count * 2) sequences; trying \(count)") }
        }
        let error = LlamaModel.firstError
        throw LoadFailure.speaksOfMemory(error) || error.isEmpty
            ? noMemory(cost, isContextWanted: request.contextTokens > 0)
            : EngineFault(.badModel, "llama.cpp makes no context for the model: \(LoadFailure.plain(error))")
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
