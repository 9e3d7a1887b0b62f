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
        return Load(
            model: model.id, weightsDescriptor: descriptors.first,
            furtherWeightsDescriptors: Array(descriptors.dropFirst()), weightsBytes: weights?.byteCount ?? 0,
            contextTokens: model.contextTokens ?? 0,
            maxSequences: min(model.maxSequences ?? limits.sequencesDefault, limits.sequencesMax),
            threads: LaunchPlanner.threads(manifest, owner), options: model.options,
            chatTemplate: model.chatTemplate ?? "", inspectOnly: inspectOnly)
    }

    /// What a backend with these capabilities lacks for its model, as the end of a sentence with the remedy; nil when it
    /// lacks nothing.
    func lack(of capabilities: [String], _ weights: ModelWeights?) -> String? {
        let parts = weights?.files.count ?? 0
        guard parts <= 1 || capabilities.contains(Hello.splitWeights) else {
            return "takes no model in \(parts) parts; join them into one file, with: llama-gguf-split --merge"
        }
        guard model.chatTemplate == nil || capabilities.contains(Hello.chatTemplate) else {
            return
                "takes no chat template in place of the model's own; leave \"chatTemplate\" out of the model's settings"
        }
        return nil
    }

    /// The definition with so much memory, unless its owner's settings or its manifest say how much.
    func with(memoryMebibytes: UInt64) -> BackendDefinition {
        guard model.memoryMebibytes == nil, manifest.memoryMebibytes == nil else { return self }
        var model = model
        model.memoryMebibytes = memoryMebibytes
        return BackendDefinition(
            name: name, path: path, executable: executable, manifest: manifest, policy: policy, model: model,
            weights: weights, pinnedDigest: pinnedDigest, replicas: replicas)
    }
}
