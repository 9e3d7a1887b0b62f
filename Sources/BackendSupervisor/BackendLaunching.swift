internal import Dispatch
internal import EventLoop
internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxPolicy
internal import Synchronization

/// How a backend's process comes to be. The agent knows one way, the sandbox; tests bring their own.
protocol BackendLaunching: Sendable {
    /// Starts the process, handing the weights on as `LaunchDescriptor.firstHandedOn`; blocks, on any thread.
    func launch(_ definition: BackendDefinition, weights: ModelFile?) throws -> LaunchedProcess
}

/// Starts backends in the sandbox.
struct SandboxedLaunching: BackendLaunching {
    private let launcher: SandboxLauncher
    private let folder: String
    private let owner: OwnerLimits

    init(configuration: SupervisorConfiguration) {
        launcher = SandboxLauncher(
            launcherPath: configuration.launcherPath, policiesDirectory: configuration.policiesDirectory,
            tier: configuration.tier, host: configuration.host)
        folder = configuration.backendsDirectory
        owner = configuration.owner
    }

    func launch(_ definition: BackendDefinition, weights: ModelFile?) throws -> LaunchedProcess {
        let executable = try BackendExecutable.open(folder: folder, name: definition.name)
        let plan = try launcher.plan(
            executable: executable, manifest: definition.manifest, owner: owner, weightBytes: weights?.byteCount ?? 0)
        return try withExtendedLifetime(weights) {
            try launcher.launch(
                executable: executable, plan: plan, handOver: weights.map { [$0.descriptor.raw] } ?? [],
                groupLimits: LaunchPlanner.controlGroupLimits(
                    definition.manifest, owner, weightBytes: weights?.byteCount ?? 0,
                    executableBytes: executable.byteCount))
        }
    }
}

/// A launched process that several owners share; its lifeline and all else is closed when the last lets go.
final class BackendHandles: Sendable {
    let process: ProcessHandle
    let socket: Descriptor
    let log: Descriptor
    let report: Descriptor
    let lifeline: Descriptor
    let group: ControlGroup?

    init(_ launched: consuming LaunchedProcess) {
        process = launched.process
        socket = launched.socket
        log = launched.log
        report = launched.report
        lifeline = launched.lifeline
        group = launched.group
    }
}

/// Why no process came to be.
struct LaunchFailure: Error {
    let description: String
    /// Trying again changes nothing.
    let isForOwner: Bool

    init(_ error: any Error) {
        description = printable("\(error)")
        isForOwner =
            switch error {
            case let error as SandboxLaunchError: error.code != .launchFailed
            case let error as LinuxError: ![EAGAIN, ENOMEM, EMFILE, ENFILE].contains(error.code)
            default: true
            }
    }
}

/// What a launch gave.
struct Launch: Sendable {
    let handles: BackendHandles
    let modelDigest: [UInt8]
    let weightsBytes: UInt64?
    /// What its policy and its devices leave open beside what its tier does.
    let addedRisks: [ResidualRisk]
}

/// Says to whoever works on another thread that the result is not wanted any more.
final class CallOff: Sendable {
    private let asked = Atomic(false)

    var isAsked: Bool { asked.load(ordering: .relaxed) }
    func ask() { asked.store(true, ordering: .relaxed) }
}

/// Opens the weights and starts the process, off the I/O loop: reading gigabytes of weights takes seconds.
struct LaunchPreparation: Sendable {
    let definition: BackendDefinition
    let owner: OwnerLimits
    let launcher: any BackendLaunching
    let digests: DigestCache
    let folder: String
    let policiesDirectory: String
    let callOff = CallOff()

    /// On the loop, so that its result comes there directly, however busy the other threads are.
    @IOLoop func run() async -> Result<Launch, LaunchFailure> {
        await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async {
                let result = Result { try launch() }
                continuation.resume(returning: result.mapError(LaunchFailure.init))
            }
        }
    }

    private func launch() throws -> Launch {
        let weights = try definition.model.file.map { file in
            try ModelFile(
                LaunchPlanner.weightsPlace(file, folder: folder, owner: owner), digests: digests,
                isCalledOff: { callOff.isAsked })
        }
        let handles = BackendHandles(try launcher.launch(definition, weights: weights))
        let policy = try? SeccompPolicy.named(definition.manifest.policy, in: policiesDirectory)
        return Launch(
            handles: handles, modelDigest: weights?.digest ?? [], weightsBytes: weights?.byteCount,
            addedRisks: policy.map { ResidualRisk.added(by: $0, devices: definition.manifest.devices) } ?? [])
    }
}
