internal import BackendIPC
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
package import SandboxPolicy

// How it stands, for its owner and its consumers.
extension ManagedBackend {
    package var state: State {
        let isHeld = lifecycle.isAlive || lifecycle.phase == .held
        return lifecycle.pause != nil && isHeld ? .paused : stateBeneath
    }

    /// Its state, whether or not it is paused.
    var stateBeneath: State {
        if isUntrusted { return .untrusted }
        // A resting backend shows the state that a request would find.
        return obstacle.map { $0.isFinal ? .failed : .waiting } ?? lifecycle.state
    }

    /// What its owner should know about the state; empty when all is well.
    package var detail: String {
        [isUntrusted ? "" : lifecycle.stateDetail, obstacle?.sentence ?? "", weights?.notice ?? "", notice].filter {
            !$0.isEmpty
        }
        .joined(separator: "; ")
    }

    /// How a process of it failed last, and how long ago, without the time that the machine slept; nil: none has.
    package var lastFailure: (reason: String, millisecondsAgo: UInt64)? {
        lifecycle.lastFailure.map { ($0.reason, Monotonic.awake().since($0.at) / 1_000_000) }
    }

    /// Whether nothing of it runs, and nothing is started before its owner trusts it.
    private var isUntrusted: Bool { files?.distrust != nil && !lifecycle.isAlive }

    /// Why a request could not load its model, while it rests; nil: it could.
    private var obstacle: LoadObstacle? {
        guard case .resting = lifecycle.phase, let weights = files?.weights else { return nil }
        return LoadObstacle(weights, inspected: inspectedFile, wait: definition.wait(for: weights))
    }

    /// "name/version" from its Hello; empty before the first.
    package var version: String { facts.version }
    /// The capabilities that its Hello named and that matter to consumers, without those that its model lacks, and "generate"
    /// unless it does.
    package var capabilities: [String] { facts.capabilities }
    /// The numbers of a vector; 0: its model makes none, or was not loaded yet.
    package var embeddingDimensions: UInt32 { facts.embeddingDimensions }
    /// Whether it looks for stop strings itself.
    package var matchesStops: Bool { facts.matchesStops }
    /// Tokens of prompt and completion together; 0 before the model was loaded.
    package var maxContextTokens: UInt32 { facts.maxContextTokens }
    /// The most sequences that run at once; 0 before the model was loaded.
    package var maxSequences: UInt32 { facts.maxSequences }

    /// The adapters that requests may choose.
    package var adapters: [ModelAdapter] { definition.model.adapters }

    /// What holds where a request says nothing, as the bytes of a `hearth.v1.Sampling`, which the backend has made a part of.
    package var samplingDefaults: [UInt8] { facts.samplingDefaults + definition.model.sampling.encoded }

    nonisolated var key: BackendCatalog.Key { BackendCatalog.Key(name: name, model: model) }
    nonisolated var id: BackendCatalog.Process { BackendCatalog.Process(backend: key, number: number) }

    /// The most processes for the model.
    package var replicas: Int { definition.replicas }
    /// Its number, where the owner wants several processes for the model; nil where there is one.
    package var replica: Int? { definition.replicas > 1 ? number : nil }

    /// The launcher's process; 0 when none runs.
    package var pid: Int32 { process?.pid ?? 0 }
    /// The tier that holds its processes.
    package var tier: String { setting.configuration.tier.rawValue }
    /// The layers that hold its processes, by name.
    package var layers: [String] { setting.configuration.host.layers(of: setting.configuration.tier).names }
    /// The risks that remain in this sandbox.
    package var residualRisks: [ResidualRisk] { setting.residualRisks + addedRisks }
    /// The seccomp policy's name.
    package var policyName: String { launched.manifest.policy }
    /// Times it was started again after it was lost.
    package var restarts: UInt32 { lifecycle.restarts }
    package var runningSequences: UInt32 { UInt32(clamping: connection?.runningSequences ?? 0) }
    /// Sequences and embeddings.
    package var runningRequests: UInt32 {
        UInt32(clamping: (connection?.runningSequences ?? 0) + (connection?.runningEmbeddings ?? 0))
    }
    /// Whether its process stands still.
    package var isFrozen: Bool { lifecycle.isAlive && lifecycle.pause?.isFrozen == true }
    /// Its last output, as lines fit for a terminal; bounded by the limits `log…`.
    package var recentLog: [String] { log.lines }

    /// The kept lines of its output with numbers above `number`; all of them where `log` is not its log
    /// (`BackendOutput.log`).
    package func output(after number: UInt64, ofLog log: UInt64) -> BackendOutput {
        self.log.output(after: number, of: log)
    }
}
