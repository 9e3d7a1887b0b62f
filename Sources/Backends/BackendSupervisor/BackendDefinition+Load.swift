internal import BackendIPC
internal import LaunchPlan
internal import SandboxPolicy

extension BackendDefinition {
    /// Asks its process to load its model.
    /// - Parameter weights: those that were handed over; nil where there are none.
    func load(
        _ weights: ModelWeights?, owner: OwnerLimits, limits: SupervisorConfiguration.Limits, inspectOnly: Bool = false
    ) -> Load {
        let descriptors = (0..<(weights?.files.count ?? 0)).map {
            UInt32(GivenDescriptor.firstHandedOn) + UInt32($0)
        }
        let parts = descriptors.prefix(weights?.parts.count ?? 0)
        let adapters = zip(model.adapters, descriptors.dropFirst(parts.count)).map {
            LoadedAdapter(name: $0.name, descriptor: $1, scale: $0.scale, isDefault: $0.isDefault)
        }
        let draft = weights?.draft == nil ? nil : descriptors.last
        return Load(
            model: model.id, weightsDescriptor: parts.first,
            furtherWeightsDescriptors: Array(parts.dropFirst()), weightsBytes: weights?.partBytes ?? 0,
            contextTokens: model.contextTokens ?? 0,
            maxSequences: min(model.maxSequences ?? limits.sequencesDefault, limits.sequencesMax),
            threads: LaunchPlanner.threads(manifest, owner), options: model.options,
            chatTemplate: model.chatTemplate ?? "", inspectOnly: inspectOnly, adapters: adapters,
            draftLookup: model.draftLookup, draftWeightsDescriptor: draft)
    }

    /// What a backend with these capabilities lacks for its model, as the end of a sentence with the remedy; nil when it
    /// lacks nothing.
    func lack(of capabilities: [String], _ weights: ModelWeights?) -> String? {
        let parts = weights?.parts.count ?? 0
        guard parts <= 1 || capabilities.contains(Hello.splitWeights) else {
            return "takes no model in \(parts) parts; join them into one file, with: llama-gguf-split --merge"
        }
        guard model.chatTemplate == nil || capabilities.contains(Hello.chatTemplate) else {
            return
                "takes no chat template in place of the model's own; leave \"chatTemplate\" out of the model's settings"
        }
        guard model.adapters.isEmpty || capabilities.contains(Hello.adapters) else {
            return "computes with no adapters; leave \"adapters\" out of the model's settings"
        }
        guard !model.sampling.needsSamplers || capabilities.contains(Hello.samplers) else {
            return
                "knows only temperature, topP, topK, minP and the penalties; leave the rest of \"sampling\" out of the model's"
                + " settings"
        }
        guard model.embeddingDimensions.isEmpty || capabilities.contains(Hello.embed) else {
            return "makes no vectors; leave \"embedding\" out of the model's settings"
        }
        guard !model.draftLookup || capabilities.contains(Hello.draftLookup) else {
            return "drafts no tokens; leave \"draft\" out of the model's settings"
        }
        guard model.draftFile == nil || capabilities.contains(Hello.draftModel) else {
            return
                "drafts no tokens with a second model (it lacks \"\(Hello.draftModel)\"); leave \"file\" out of \"draft\" in "
                + "the model's settings"
        }
        return nil
    }

    /// Why it cannot load its model yet, as the end of a sentence about it; nil where there is nothing to wait for.
    func wait(for looks: [WeightsLook]) -> String? {
        guard let wait = looks.wait(for: weights.places) else { return nil }
        let parts = weights.places.count - model.adapters.count - (model.draftFile == nil ? 0 : 1)
        guard let index = looks.firstIndex(of: .missing), index >= parts, index < weights.places.count else {
            return wait
        }
        guard index - parts < model.adapters.count else {
            return "\(wait); bring it, or take \"file\" out of \"draft\" in its settings"
        }
        return
            "\(wait); bring it, or take \"\(model.adapters[index - parts].name)\" out of \"adapters\" in its settings"
    }

    /// The definition with so much memory, unless its owner's settings or its manifest say how much.
    func with(memoryMebibytes: UInt64) -> BackendDefinition {
        guard model.memoryMebibytes == nil, manifest.memoryMebibytes == nil else { return self }
        var model = model
        model.memoryMebibytes = memoryMebibytes
        return BackendDefinition(
            name: name, path: path, executable: executable, manifest: manifest, manifestDigest: manifestDigest,
            policy: policy, model: model, weights: weights, replicas: replicas)
    }
}
