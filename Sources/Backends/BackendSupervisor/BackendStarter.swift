internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy

/// Starts the processes of backends. The agent has one way, the sandbox; tests bring their own.
protocol BackendStarter: Sendable {
    /// Starts the process, handing the files of the weights on from `GivenDescriptor.firstHandedOn` on, in their order;
    /// blocks, on any thread.
    func launch(_ definition: BackendDefinition, weights: ModelWeights?) throws -> SandboxedProcess
}

/// Starts backends in the sandbox.
struct SandboxedStarter: BackendStarter {
    private let sandbox: Sandbox
    private let folder: String
    private let owner: OwnerLimits
    private let pins: PinBook?

    init(configuration: SupervisorConfiguration) {
        sandbox = Sandbox(
            launcherPath: configuration.launcherPath, policiesDirectory: configuration.policiesDirectory,
            tier: configuration.tier, host: configuration.host)
        folder = configuration.backendsDirectory
        owner = configuration.owner
        pins = configuration.pins
    }

    func launch(_ definition: BackendDefinition, weights: ModelWeights?) throws -> SandboxedProcess {
        let executable = try BackendExecutable.open(
            folder: folder, name: definition.fileName, interpreter: definition.manifest.interpreter)
        let plan = try sandbox.plan(
            executable: executable, manifest: definition.manifest, owner: owner, policy: definition.policy?.policy,
            weightBytes: weights?.byteCount ?? 0)
        // The digest is that of the sealed copy, which is what is executed.
        try pins?.demand(definition, executable: executable.fileDigest)
        return try withExtendedLifetime(weights) {
            try sandbox.launch(
                executable: executable, plan: plan, handOver: weights?.descriptors ?? [],
                groupLimits: LaunchPlanner.controlGroupLimits(
                    definition.manifest, owner, weightBytes: weights?.byteCount ?? 0,
                    executableBytes: executable.byteCount))
        }
    }
}
