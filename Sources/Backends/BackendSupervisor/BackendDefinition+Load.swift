internal import BackendIPC
internal import LaunchPlan
internal import SandboxPolicy

extension BackendDefinition {
    /// Asks its process to load its model.
    /// - Parameter weightsBytes: the size of the weights that were handed over; nil where there are none.
    func load(
        weightsBytes: UInt64?, owner: OwnerLimits, limits: SupervisorConfiguration.Limits, inspectOnly: Bool = false
    ) -> Load {
        Load(
            model: model.id, weightsDescriptor: weightsBytes.map { _ in UInt32(GivenDescriptor.firstHandedOn) },
            weightsBytes: weightsBytes ?? 0, contextTokens: model.contextTokens ?? 0,
            maxSequences: min(model.maxSequences ?? limits.sequencesDefault, limits.sequencesMax),
            threads: LaunchPlanner.threads(manifest, owner), options: model.options, inspectOnly: inspectOnly)
    }

    /// The definition with so much memory, unless its owner's settings or its manifest say how much.
    func with(memoryMebibytes: UInt64) -> BackendDefinition {
        guard model.memoryMebibytes == nil, manifest.memoryMebibytes == nil else { return self }
        var model = model
        model.memoryMebibytes = memoryMebibytes
        return BackendDefinition(
            name: name, path: path, executable: executable, manifest: manifest, policy: policy, model: model,
            weights: weights, pinnedDigest: pinnedDigest)
    }
}
