package import BackendIPC
package import EventLoop
internal import Glibc
package import LaunchPlan
package import LinuxSystem
internal import Logging
package import SandboxLaunch
package import SandboxPolicy

/// Runs one backend once, outside of any folder that is served: starts it, lets it load its first model and answer one
/// request, and ends it. The outcome holds the calls that it was denied, or was seen to make. The I/O loop's own.
@IOLoop
package final class TrialRun {
    /// The backend to run, and its sandbox.
    package struct Setup: Sendable {
        package let sandbox: Sandbox
        /// The folder of the executable.
        package let folder: String
        /// The executable's file name.
        package let name: String
        package var arguments: [String] = []
        package let manifest: BackendManifest
        package let owner: OwnerLimits
        package var policy: SeccompPolicy
        /// The arguments that tell calls apart; nil: as for every backend.
        package var tellingArguments: [TellingArguments]?
        /// A serialized `hearth.v1.GenerateRequest`.
        package let request: [UInt8]
        /// A program that says nothing on its socket is ended after this.
        package var helloMilliseconds: UInt64 = 10_000
        /// Credit for so many tokens of the answer, which then counts as given.
        package var tokens = 64
        /// The longest time for the answer.
        package var answerMilliseconds: UInt64 = 60_000

        package init(
            sandbox: Sandbox, folder: String, name: String, manifest: BackendManifest, owner: OwnerLimits,
            policy: SeccompPolicy, request: [UInt8]
        ) {
            self.sandbox = sandbox
            self.folder = folder
            self.name = name
            self.manifest = manifest
            self.owner = owner
            self.policy = policy
            self.request = request
        }
    }

    /// How far a backend came.
    package enum Reach: Int, Comparable, Sendable {
        case started, greeted, loaded, answered
        package static func < (left: Reach, right: Reach) -> Bool { left.rawValue < right.rawValue }
    }

    package struct Outcome: Sendable {
        package let reach: Reach
        /// The exit status of the process, if it ended by itself.
        package let exit: ExitStatus?
        /// How it ended, in words.
        package let detail: String
        /// The calls that the launcher reported.
        package let calls: [SupervisedCall]
        /// Its last output.
        package let log: [String]
        /// Tokens of the answer.
        package let tokens: Int
        /// The time from the first to the last of these tokens.
        package let answerNanoseconds: UInt64

        /// Whether it answered, or is no backend and ended well.
        package var isWell: Bool { reach == .answered || (reach == .started && exit == .exited(0)) }
    }

    private static let graceMilliseconds: UInt64 = 2_000

    private let setup: Setup
    private let backend: ManagedBackend
    private var answer: Bool?
    private var tokens = 0
    private var firstToken: Monotonic?
    private var lastToken: Monotonic?
    private var waiting: CheckedContinuation<Void, Never>?

    /// Throws when there is no such executable, or it cannot be launched.
    package static func run(_ setup: Setup) async throws -> Outcome { try await TrialRun(setup).run() }

    private init(_ setup: Setup) throws {
        self.setup = setup
        var configuration = SupervisorConfiguration(
            backendsDirectory: setup.folder, policiesDirectory: setup.sandbox.policiesDirectory,
            launcherPath: setup.sandbox.launcherPath, tier: setup.sandbox.tier, host: setup.sandbox.host,
            owner: setup.owner)
        configuration.limits.helloMilliseconds = setup.helloMilliseconds
        configuration.restartsBackends = false
        configuration.limits.weightsSettledMilliseconds = 0
        let setting = BackendSetting(
            configuration: configuration, logger: Logger(label: "trial-run") { _ in SwiftLogNoOpLogHandler() },
            starter: TrialStarter(setup: setup))
        backend = ManagedBackend(try setup.definition(), setting: setting)
        setting.changed = { [weak self] _ in self?.wake() }
    }

    private func run() async throws -> Outcome {
        backend.start()
        await until { [.ready, .failed, .stopped, .waiting].contains(backend.state) }
        let detail = backend.detail
        let hasRun = backend.state == .ready || (backend.lastExit != nil && backend.lastLaunchFailure == nil)
        if backend.state == .ready { await askOnce() }
        let exit = backend.lastExit
        backend.stop(graceMilliseconds: TrialRun.graceMilliseconds, why: "the trial run is over")
        await withCheckedContinuation { continuation in backend.whenEnded { continuation.resume() } }
        guard hasRun else { throw SupervisorError(detail) }
        return Outcome(
            reach: reach, exit: exit, detail: detail, calls: backend.denied.entries.map(\.call), log: backend.recentLog,
            tokens: tokens, answerNanoseconds: firstToken.flatMap { first in lastToken?.since(first) } ?? 0)
    }

    private var reach: Reach {
        if answer == true { return .answered }
        if backend.maxSequences > 0 { return .loaded }
        return backend.version.isEmpty ? .started : .greeted
    }

    private func askOnce() async {
        let timer = IOLoop.schedule(afterMilliseconds: setup.answerMilliseconds) { [weak self] in
            self?.end(answered: false)
        }
        defer { timer.cancel() }
        guard backend.begin(request: setup.request, credit: UInt32(clamping: setup.tokens), handler: self) != nil else {
            return
        }
        await until { answer != nil }
    }

    private func end(answered: Bool) {
        answer = answer ?? answered
        wake()
    }

    private func until(_ condition: () -> Bool) async {
        while !condition() { await withCheckedContinuation { waiting = $0 } }
    }

    private func wake() {
        let waiting = waiting
        self.waiting = nil
        waiting?.resume()
    }
}

extension TrialRun: SequenceHandler {
    package func received(_ run: TokenRunView) {
        // The tokens that the credit allows are enough to see it compute.
        tokens = tokens &+ run.tokenCount
        lastToken = .now()
        firstToken = firstToken ?? lastToken
        if tokens >= setup.tokens { end(answered: true) }
    }

    package func finished(_ finish: Finish) {
        if case .reason = finish.outcome { end(answered: true) } else { end(answered: false) }
    }

    package func lost(_ loss: SequenceLoss) { end(answered: false) }
}

// A backend whose conversation is the caller's.
extension TrialRun.Setup {
    /// What the agent would ask a process of it to load. Throws when the weights cannot be opened.
    package func load() throws -> Load {
        let definition = try definition()
        return definition.load(try weights(of: definition), owner: owner, limits: SupervisorConfiguration.Limits())
    }

    /// Starts a process of it, as a trial run does, and returns at once. Blocks. Throws when there is no such
    /// executable, or it cannot be launched.
    package func launch() throws -> SandboxedProcess {
        let definition = try definition()
        return try TrialStarter(setup: self).launch(definition, weights: try weights(of: definition))
    }

    /// The executables of a folder that the agent would look at, each with the name of its backend, ordered by name.
    package static func backends(inFolder path: String) throws -> [(name: String, file: String)] {
        var limits = SupervisorConfiguration.Limits()
        limits.settledMilliseconds = 0
        let folder = try BackendFolder.scan(path, limits: limits)
        return folder.executables.filter { $0.value.facts.permissions & 0o111 != 0 }.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value.name) }
    }

    /// Its first model, as the agent would serve it.
    fileprivate func definition() throws -> BackendDefinition {
        let path = "\(folder)/\(name)"
        let model = manifest.models.first ?? BackendManifest.Model(id: name)
        return BackendDefinition(
            name: name, path: path, executable: ExecutableVersion(facts: try FileFacts(path: path)),
            manifest: manifest, model: model,
            weights: BackendDefinition.WeightsPlace(of: model, folder: folder, owner: owner))
    }

    private func weights(of definition: BackendDefinition) throws -> ModelWeights? {
        switch definition.weights {
        case .none: return nil
        case .refused(let sentence): throw SupervisorError(sentence)
        case .at(let places):
            return ModelWeights(try places.map { try ModelFile($0, digests: nil) }, of: definition.model)
        }
    }
}

/// Starts the backend in the sandbox, under the trial's policy.
private struct TrialStarter: BackendStarter {
    let setup: TrialRun.Setup

    func launch(_ definition: BackendDefinition, weights: ModelWeights?) throws -> SandboxedProcess {
        let executable = try BackendExecutable.open(
            folder: setup.folder, name: setup.name, interpreter: setup.manifest.interpreter)
        var plan = try setup.sandbox.plan(
            executable: executable, manifest: setup.manifest, owner: setup.owner, policy: setup.policy,
            weightBytes: weights?.byteCount ?? 0)
        plan.arguments += setup.arguments
        if let telling = setup.tellingArguments { plan.tellingArguments = telling }
        return try withExtendedLifetime(weights) {
            try setup.sandbox.launch(
                executable: executable, plan: plan, handOver: weights?.descriptors ?? [])
        }
    }
}
