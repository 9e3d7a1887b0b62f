internal import EventLoop
internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import StrictJSON
internal import Synchronization
internal import TerminalText

/// How a backend's process comes to be. The agent knows one way, the sandbox; tests bring their own.
protocol BackendLaunching: Sendable {
    /// Starts the process, handing the weights on as `LaunchDescriptor.firstHandedOn`; blocks, on any thread.
    func launch(_ definition: BackendDefinition, weights: ModelFile?) throws -> SandboxedProcess
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

    func launch(_ definition: BackendDefinition, weights: ModelFile?) throws -> SandboxedProcess {
        let executable = try BackendExecutable.open(folder: folder, name: definition.name)
        let plan = try launcher.plan(
            executable: executable, manifest: definition.manifest, owner: owner, policy: definition.policy?.policy,
            weightBytes: weights?.byteCount ?? 0)
        return try withExtendedLifetime(weights) {
            try launcher.launch(
                executable: executable, plan: plan, handOver: weights.map { [$0.descriptor.raw] } ?? [],
                groupLimits: LaunchPlanner.controlGroupLimits(
                    definition.manifest, owner, weightBytes: weights?.byteCount ?? 0,
                    executableBytes: executable.byteCount))
        }
    }
}

/// Why no process came to be.
struct LaunchFailure: Error {
    let description: String
    /// No other attempt can succeed until something has been put right.
    let isForOwner: Bool
    /// Weights are awaited, which whoever looks at the folder sees come.
    let isWaiting: Bool

    init(_ error: any Error) {
        isWaiting = error is WeightsAwaited
        description = printable((error as? WeightsAwaited)?.description ?? "\(error)")
        // What is not known to be final is tried again.
        isForOwner =
            switch error {
            case let error as SandboxLaunchError: !error.isTransient
            case let error as LinuxError: !error.isTransient
            case let error as TrustError: !error.isTransient
            case let error as SupervisorError: !error.isTransient
            case let error as SandboxPolicyError: !error.isTransient
            default: false
            }
    }
}

/// What a launch gave.
struct Launch: Sendable {
    let process: SandboxedProcess
    let weights: ModelFile?
    /// What its policy and its devices leave open beside what its tier does.
    let addedRisks: [ResidualRisk]
}

/// What the loop and the thread of one launch know of each other.
final class LaunchControl: Sendable {
    private let isCalledOff = Atomic(false)
    private let stepsTaken = Atomic<UInt64>(0)

    /// Grows as the launch gets on.
    var steps: UInt64 { stepsTaken.load(ordering: .relaxed) }

    /// The result is not wanted any more.
    func callOff() { isCalledOff.store(true, ordering: .relaxed) }

    /// For the thread, after each piece of its work: whether to go no further.
    func noteStep() -> Bool {
        stepsTaken.add(1, ordering: .relaxed)
        return isCalledOff.load(ordering: .relaxed)
    }
}

/// Opens the weights and starts the process, on a thread of its own: reading gigabytes of weights takes seconds, and a disk
/// that hangs takes for ever.
struct LaunchPreparation: Sendable {
    let definition: BackendDefinition
    let owner: OwnerLimits
    let launcher: any BackendLaunching
    let digests: DigestCache
    let folder: String
    let policiesDirectory: String
    let weightsSettledMilliseconds: UInt64
    let control = LaunchControl()

    /// On the loop, so that its result comes there directly, however busy the other threads are.
    @IOLoop func run() async -> Result<Launch, LaunchFailure> {
        await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try DetachedThread.run {
                    let result = Result { try launch() }
                    continuation.resume(returning: result.mapError(LaunchFailure.init))
                }
            } catch {
                continuation.resume(returning: .failure(LaunchFailure(error)))
            }
        }
    }

    private func launch() throws -> Launch {
        let weights = try definition.model.file.map { try openWeights($0) }
        _ = control.noteStep()
        let process = try launcher.launch(definition, weights: weights)
        let policy =
            definition.policy?.policy ?? (try? SeccompPolicy.named(definition.manifest.policy, in: policiesDirectory))
        return Launch(
            process: process, weights: weights,
            addedRisks: policy.map { ResidualRisk.added(by: $0, devices: definition.manifest.devices) } ?? [])
    }

    private func openWeights(_ file: String) throws -> ModelFile {
        let place = try LaunchPlanner.weightsPlace(file, folder: folder, owner: owner)
        func wait() -> WeightsAwaited? {
            let found = WeightsLook.look(at: place, settledMilliseconds: weightsSettledMilliseconds)
            // By a clock that was set back they would never settle; a change of them is noticed afterwards.
            if case .found(let facts, _) = found, facts.changedNanoseconds > FileFacts.clockNanoseconds() { return nil }
            return found.wait(for: place.path).map { WeightsAwaited(description: $0) }
        }
        if let wait = wait() { throw wait }
        do {
            return try ModelFile(place, digests: digests, isCalledOff: { control.noteStep() })
        } catch {
            // They may have gone, or begun to change, while they were read.
            throw wait() ?? error
        }
    }
}
