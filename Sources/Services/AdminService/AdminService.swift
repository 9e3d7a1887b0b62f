package import BackendSupervisor
package import ConsumerAccess
package import EventLoop
package import GRPC
internal import Glibc
internal import InferenceMessages
package import InferenceService
internal import LaunchPlan
package import LimitDeclaration
internal import LinuxSystem
internal import PolicyExplanation
internal import SandboxPolicy
internal import SeccompFilter
internal import SwiftProtobuf
package import TraceExport

/// `hearth.admin.v1.Admin`: what the owner's command line asks of the running agent. Lives on the I/O loop; served only on
/// the Unix socket in the state folder, and a part of it to the HTTP bridge (`BridgedAdmin`).
@IOLoop
package final class AdminService: Service {
    /// Values that only `HostAgent` knows.
    package struct Facts: Sendable {
        let version: String
        /// The limits in force, in the order in which they are listed.
        let limits: @IOLoop @Sendable () -> [NamedLimit]
        let pulls: PullDesk.Place
        let listeners: @IOLoop @Sendable () -> [(address: String, security: String)]
        let bridge: @IOLoop @Sendable () -> Bridge?
        /// What the bridge wrote after this line of this log; nil: there is no bridge.
        let bridgeOutput: @IOLoop @Sendable (_ number: UInt64, _ log: UInt64) -> BackendOutput?
        /// The path of the file of settings, and the names of settings that wait for the next start.
        let settings: @IOLoop @Sendable () -> (file: String, needsRestart: [String])
        /// Nil: nothing is traced.
        let tracing: @IOLoop @Sendable () -> Tracer.Report?
        /// What is kept over the agent's death, and what was taken back from an agent that had died.
        let survival: @IOLoop @Sendable () -> Survival

        package init(
            version: String, limits: @escaping @IOLoop @Sendable () -> [NamedLimit], pulls: PullDesk.Place,
            listeners: @escaping @IOLoop @Sendable () -> [(address: String, security: String)],
            bridge: @escaping @IOLoop @Sendable () -> Bridge?,
            bridgeOutput: @escaping @IOLoop @Sendable (UInt64, UInt64) -> BackendOutput?,
            settings: @escaping @IOLoop @Sendable () -> (file: String, needsRestart: [String]),
            tracing: @escaping @IOLoop @Sendable () -> Tracer.Report? = { nil },
            survival: @escaping @IOLoop @Sendable () -> Survival = { Survival(holder: nil, takenBack: 0) }
        ) {
            self.version = version
            self.limits = limits
            self.pulls = pulls
            self.listeners = listeners
            self.bridge = bridge
            self.bridgeOutput = bridgeOutput
            self.settings = settings
            self.tracing = tracing
            self.survival = survival
        }
    }

    /// What outlives an agent, as `Status.crash_holder` and `Status.taken_back` show it.
    package struct Survival: Sendable {
        let holder: (seconds: UInt32, pid: Int32, kept: Int)?
        let takenBack: Int

        /// - Parameter holder: nil where nothing is kept; its `pid` is 0 while it is started again.
        package init(holder: (seconds: UInt32, pid: Int32, kept: Int)?, takenBack: Int) {
            self.holder = holder
            self.takenBack = takenBack
        }
    }

    /// The HTTP bridge, as `Status.bridge` shows it.
    package struct Bridge: Sendable {
        let address: String
        let state: String
        let detail: String
        let pid: Int32
        let restarts: UInt32
        let tier: String

        package init(
            address: String, state: String, detail: String, pid: Int32, restarts: UInt32, tier: String
        ) {
            self.address = address
            self.state = state
            self.detail = detail
            self.pid = pid
            self.restarts = restarts
            self.tier = tier
        }
    }

    nonisolated package static let serviceName = "hearth.admin.v1.Admin"
    nonisolated package let name = serviceName
    let supervisor: Supervisor
    let inference: InferenceService
    private let consumers: Server
    /// Serves the HTTP bridge.
    let bridged: Server
    let facts: Facts
    private let started = Monotonic.now()
    /// Called when the agent is to make way for the process with this id, which listens at this path; begins that, or throws
    /// why it cannot. The last argument is called where that process gives up.
    package var onHandOver: (@IOLoop (Int32, String, @escaping @IOLoop () -> Void) throws(Status) -> Void)?
    /// Called with what the owner asks of the whole agent; returns once it is in force and kept. Throws when it could not be
    /// kept for the next start.
    package var onHold: (@IOLoop (OwnerHold.Request) async throws(Status) -> Void)?
    /// The keys in force.
    package var keys: (@IOLoop () -> KeyBook)?
    /// Called with a change of the keys; returns once it is kept and in force, or throws why it cannot be.
    package var onKeys: (@IOLoop (@escaping KeyChange) async throws(AccessError) -> Void)?
    package typealias KeyChange = @Sendable (inout KeyBook) throws(AccessError) -> Void
    /// Called when the agent is to end as SIGTERM ends it.
    package var onStop: (@IOLoop () -> Void)?
    /// Reads the settings again; returns the names of those that have changed: those in force now, and those that wait for the
    /// next start.
    package var onReload: (@IOLoop () async throws(Status) -> (applied: [String], needsRestart: [String]))?
    /// Puts a new agent in the place of this one: the program at this path, or for an empty one the agent's own; returns the
    /// new one's process and version once it has taken over.
    package var onUpgrade: (@IOLoop (String) async throws(Status) -> (pid: Int32, version: String))?
    private var successor = Successor()
    let pulls: PullDesk

    package init(
        supervisor: Supervisor, inference: InferenceService, consumers: Server, bridged: Server, facts: Facts
    ) {
        self.supervisor = supervisor
        self.inference = inference
        self.consumers = consumers
        self.bridged = bridged
        self.facts = facts
        pulls = PullDesk(facts.pulls)
    }

    nonisolated package func method(_ name: String) -> Method? {
        switch name {
        case "GetStatus": .unary { (_: Hearth_Admin_V1_GetStatusRequest, _) in await self.status() }
        case "ListBackends":
            .unary { (_: Hearth_Admin_V1_ListBackendsRequest, _) in
                await self.listBackends()
            }
        case "ListDenied":
            .unary { (request: Hearth_Admin_V1_ListDeniedRequest, _) in try await self.listDenied(request) }
        case "ReadLog":
            .unary { (request: Hearth_Admin_V1_ReadLogRequest, _) in try await self.readLog(request) }
        case "HandOver":
            .unary { (request: Hearth_Admin_V1_HandOverRequest, _) in try await self.handOver(request) }
        case "ShowModel":
            .unary { (request: Hearth_Admin_V1_ShowModelRequest, _) in try await self.showModel(request) }
        case "Lend": Method { call in Lending(call, self.supervisor) }
        case "Pull":
            .serverStreaming { (request: Hearth_Admin_V1_PullRequest, writer, _) in
                try await self.pulls.pull(request) { try await writer.send($0) }
            }
        case "Pause":
            .unary { (request: Hearth_Admin_V1_PauseRequest, _) in
                try await self.hold(.pause(unloading: request.unload))
            }
        case "Resume": .unary { (_: Hearth_Admin_V1_ResumeRequest, _) in try await self.hold(.resume) }
        case "Drain": .unary { (_: Hearth_Admin_V1_DrainRequest, _) in try await self.hold(.drain) }
        case "Stop": .unary { (_: Hearth_Admin_V1_StopRequest, _) in await self.stop() }
        case "RestartBackend":
            .unary { (request: Hearth_Admin_V1_RestartBackendRequest, _) in try await self.restart(request) }
        case "ListModels": .unary { (_: Hearth_Admin_V1_ListModelsRequest, _) in await self.listModels() }
        case "LoadModel":
            .unary { (request: Hearth_Admin_V1_LoadModelRequest, _) in try await self.load(request) }
        case "UnloadModel":
            .unary { (request: Hearth_Admin_V1_UnloadModelRequest, _) in try await self.unload(request) }
        case "ListKeys": .unary { (request: Hearth_Admin_V1_ListKeysRequest, _) in try await self.listKeys(request) }
        case "CreateKey":
            .unary { (request: Hearth_Admin_V1_CreateKeyRequest, _) in try await self.createKey(request) }
        case "RevokeKey":
            .unary { (request: Hearth_Admin_V1_RevokeKeyRequest, _) in try await self.revokeKey(request) }
        case "TrustBackend":
            .unary { (request: Hearth_Admin_V1_TrustBackendRequest, _) in try await self.trust(request) }
        case "Upgrade": .unary { (request: Hearth_Admin_V1_UpgradeRequest, _) in try await self.upgrade(request) }
        case "Reload": .unary { (_: Hearth_Admin_V1_ReloadRequest, _) in try await self.reload() }
        case "ListTurns": .unary { (_: Hearth_Admin_V1_ListTurnsRequest, _) in await self.listTurns() }
        case "ListLimits": .unary { (_: Hearth_Admin_V1_ListLimitsRequest, _) in await self.listLimits() }
        default: nil
        }
    }

    private func handOver(
        _ request: Hearth_Admin_V1_HandOverRequest
    ) throws(Status) -> Hearth_Admin_V1_HandOverResponse {
        try successor.become(request.successorPid)
        do throws(Status) {
            try onHandOver?(request.successorPid, request.socket) { [weak self] in self?.successor.giveUp() }
        } catch {
            successor.giveUp()
            throw error
        }
        return .with { $0.openCalls = UInt32(clamping: consumers.openCalls + bridged.openCalls) }
    }

    private func upgrade(
        _ request: Hearth_Admin_V1_UpgradeRequest
    ) async throws(Status) -> Hearth_Admin_V1_UpgradeResponse {
        guard let onUpgrade, successor.pid == nil else {
            let other = successor.pid.map { "it makes way for the one with pid \($0) already" }
            throw Status(
                .failedPrecondition, "no new agent can take this one's place: \(other ?? "it has none to start")")
        }
        let (pid, version) = try await onUpgrade(request.executable)
        return .with {
            $0.pid = pid
            $0.version = version
            $0.openCalls = UInt32(clamping: consumers.openCalls + bridged.openCalls)
        }
    }

    private func status() -> Hearth_Admin_V1_Status {
        .with {
            if !supervisor.hold.isEmpty { $0.hold = AdminAnswers.described(supervisor.hold) }
            $0.version = facts.version
            $0.pid = getpid()
            $0.uptimeMilliseconds = Monotonic.now().since(started) / 1_000_000
            $0.listeners = facts.listeners().map { listener in
                .with {
                    $0.address = listener.address
                    $0.security = listener.security
                }
            }
            if let bridge = facts.bridge() {
                $0.bridge = .with {
                    $0.address = bridge.address
                    $0.state = bridge.state
                    $0.detail = bridge.detail
                    $0.pid = bridge.pid
                    $0.restarts = bridge.restarts
                    $0.sandboxTier = bridge.tier
                    $0.openCalls = UInt32(clamping: bridged.openCalls)
                }
            }
            $0.sandboxTier = AdminAnswers.weakest(of: supervisor.backends.filter { $0.pid != 0 }.map(\.tier))
            $0.openCalls = UInt32(clamping: consumers.openCalls + bridged.openCalls)
            $0.openConnections = UInt32(clamping: consumers.openConnections + bridged.openConnections)
            $0.tokensSent = inference.tokensSent
            $0.turnsFinished = inference.turnsFinished
            $0.turnsFailed = inference.turnsFailed
            $0.turnsAbsent = UInt32(clamping: inference.turnsAbsent)
            $0.embeddingsFinished = inference.embeddingsFinished
            $0.embeddingsFailed = inference.embeddingsFailed
            $0.embeddedTokens = inference.embeddedTokens
            $0.residualRisks = supervisor.residualRisks.map(AdminAnswers.described)
            $0.backends = backends()
            $0.pinning = .with {
                $0.mode = supervisor.arePinned ? "first-sight" : "off"
                $0.untrusted = supervisor.untrusted.keys.sorted()
            }
            $0.modelsFolder = facts.pulls.folder ?? ""
            let settings = facts.settings()
            $0.settingsFile = settings.file
            $0.needsRestart = settings.needsRestart
            if let report = facts.tracing() { $0.traceExport = AdminAnswers.described(report) }
            let survival = facts.survival()
            $0.takenBack = UInt32(clamping: survival.takenBack)
            if let holder = survival.holder {
                $0.crashHolder = .with {
                    $0.seconds = holder.seconds
                    $0.pid = holder.pid
                    $0.kept = UInt32(clamping: holder.kept)
                }
            }
        }
    }

    private func listLimits() -> Hearth_Admin_V1_ListLimitsResponse {
        .with {
            $0.limits = facts.limits().map { limit in
                AdminAnswers.described(limit, timesMet: limit.isCounted ? timesMet(limit.name) : nil)
            }
        }
    }

    private func timesMet(_ limit: String) -> UInt64 {
        (consumers.limitsMet[limit] ?? 0) + (bridged.limitsMet[limit] ?? 0)
    }

    private func listBackends() -> Hearth_Admin_V1_ListBackendsResponse {
        .with {
            $0.backends = backends()
            if !supervisor.hold.isEmpty { $0.hold = AdminAnswers.described(supervisor.hold) }
            $0.ignored = supervisor.ignored.map { file in
                .with {
                    $0.name = file.name
                    $0.reason = file.reason
                }
            }
            $0.unserved = unserved
            $0.pulls = pulls.list
        }
    }

    var unserved: [Hearth_Admin_V1_IgnoredFile] {
        supervisor.unserved.map { file in
            .with {
                $0.name = file.path
                $0.reason = file.reason
            }
        }
    }

    private func backends() -> [Hearth_Admin_V1_Backend] {
        let (untrusted, pinned) = (supervisor.untrusted, supervisor.arePinned ? "pinned" : "unpinned")
        return supervisor.backends.map { backend in
            .with {
                $0.trust = untrusted[backend.name] == nil ? pinned : "changed"
                $0.changes = (untrusted[backend.name] ?? []).map(AdminAnswers.described)
                $0.name = backend.name
                $0.model = backend.model
                $0.replica = AdminAnswers.replica(of: backend)
                $0.state = backend.state.rawValue
                $0.detail = backend.detail
                $0.pid = backend.pid
                $0.sandboxTier = backend.tier
                $0.sandboxLayers = backend.layers
                $0.policy = backend.policyName
                $0.restarts = backend.restarts
                $0.running = backend.runningRequests
                $0.maxSequences = backend.maxSequences
                $0.waiting = UInt32(clamping: inference.waiting(model: backend.model))
                $0.steps = backend.steps
                $0.tokens = backend.tokens
                $0.version = backend.version
                $0.residualRisks = backend.residualRisks.map(AdminAnswers.described)
                $0.deniedCalls = backend.denied.entries.reduce(0) { $0 &+ $1.call.count }
                $0.memoryBytes = backend.anonymousBytes
                $0.memoryMaxBytes = backend.memoryMaxBytes
                if let left = backend.millisecondsToUnload { $0.unloadInMilliseconds = left }
                if let (reason, millisecondsAgo) = backend.lastFailure {
                    $0.lastFailure.reason = reason
                    $0.lastFailure.millisecondsAgo = millisecondsAgo
                }
                switch supervisor.origin(of: backend) {
                case .folder(let path): $0.modelFile = path
                case .lent: $0.isLent = true
                case .manifest: break
                }
            }
        }
    }
}

// MARK: - The owner's hand

extension AdminService {
    private func hold(_ request: OwnerHold.Request) async throws(Status) -> Hearth_Admin_V1_HoldResponse {
        try await onHold?(request)
        let load = inference.load
        return .with {
            $0.hold = AdminAnswers.described(supervisor.hold)
            $0.running = UInt32(clamping: load.running)
            $0.waiting = UInt32(clamping: load.waiting)
            $0.frozen = UInt32(clamping: supervisor.backends.count { $0.isFrozen })
        }
    }

    private func stop() -> Hearth_Admin_V1_StopResponse {
        onStop?()
        return .with { $0.pid = getpid() }
    }

    private func reload() async throws(Status) -> Hearth_Admin_V1_ReloadResponse {
        guard let change = try await onReload?() else { return Hearth_Admin_V1_ReloadResponse() }
        return .with {
            $0.applied = change.applied
            $0.needsRestart = change.needsRestart
        }
    }

    private func restart(
        _ request: Hearth_Admin_V1_RestartBackendRequest
    ) throws(Status) -> Hearth_Admin_V1_RestartBackendResponse {
        guard let processes = supervisor.restart(request.backend, isNow: request.now) else {
            throw AdminAnswers.unknown(backend: request.backend, known: supervisor.backends.map(\.name))
        }
        return .with {
            $0.processes = UInt32(clamping: processes)
            $0.running = supervisor.backends.filter { $0.name == request.backend }
                .reduce(0) { $0 &+ $1.runningRequests }
        }
    }
}

// MARK: - Trust

extension AdminService {
    private func trust(
        _ request: Hearth_Admin_V1_TrustBackendRequest
    ) async throws(Status) -> Hearth_Admin_V1_TrustBackendResponse {
        guard supervisor.arePinned else {
            throw Status(
                .failedPrecondition, "backends are not pinned here (pin-backends is off): every change of one runs")
        }
        let changes: [BackendPins.Change]?
        do throws(SupervisorError) {
            changes = try await supervisor.trust(request.backend)
        } catch {
            throw Status(.internalError, error.description)
        }
        guard let changes else {
            throw AdminAnswers.unknown(backend: request.backend, known: supervisor.backends.map(\.name))
        }
        return .with { $0.changes = changes.map(AdminAnswers.described) }
    }
}

// MARK: - One model

extension AdminService {
    private func showModel(
        _ request: Hearth_Admin_V1_ShowModelRequest
    ) async throws(Status) -> Hearth_Admin_V1_ModelDetails {
        let backend = try inference.model(named: request.model).backend
        let file = backend.weightsPath == nil ? nil : await supervisor.inspect(backend)
        return AdminAnswers.described(backend, file)
    }
}

// MARK: - What a backend wrote

extension AdminService {
    private func readLog(_ request: Hearth_Admin_V1_ReadLogRequest) throws(Status) -> Hearth_Admin_V1_ReadLogResponse {
        let all = supervisor.backends
        // The HTTP bridge, which has no model.
        if request.backend == "http", request.model.isEmpty, !all.contains(where: { $0.name == "http" }),
            let output = facts.bridgeOutput(request.after, request.log)
        {
            return AdminAnswers.described(output)
        }
        let model = try request.model.isEmpty ? onlyModel(of: request.backend) : request.model
        let asked = all.first {
            $0.name == request.backend && $0.model == model
                && (request.replica == 0 || $0.number == Int(request.replica))
        }
        guard let backend = asked else {
            throw AdminAnswers.unknown(
                model: model, of: request.backend,
                known: all.filter { $0.number == 1 }.map { ($0.model, $0.name) })
        }
        return AdminAnswers.described(backend.output(after: request.after, ofLog: request.log))
    }

    private func onlyModel(of backend: String) throws(Status) -> String {
        let models = supervisor.backends.filter { $0.name == backend && $0.number == 1 }.map(\.model)
        guard let first = models.first else {
            throw AdminAnswers.unknown(backend: backend, known: supervisor.backends.map(\.name))
        }
        guard models.count == 1 else {
            throw Status(
                .invalidArgument,
                "'\(backend)' runs several models: name one as 'model': \(models.joined(separator: ", "))")
        }
        return first
    }
}

// MARK: - What was denied

extension AdminService {
    private func listDenied(
        _ request: Hearth_Admin_V1_ListDeniedRequest
    ) async throws(Status) -> Hearth_Admin_V1_ListDeniedResponse {
        let asked = supervisor.backends.filter { $0.name == request.backend }
        guard !asked.isEmpty else {
            throw AdminAnswers.unknown(backend: request.backend, known: supervisor.backends.map(\.name))
        }
        let entries = asked.flatMap { backend in backend.denied.entries.map { (backend: backend, entry: $0) } }
        let policies = supervisor.policies
        let calls = entries.map(\.entry.call.call)
        // Reads files, so not on the loop.
        let allowing = await Task.detached { policies.allowing(calls) }.value
        return .with {
            $0.calls = zip(entries, allowing).map { denied, allowing in
                AdminAnswers.described(
                    denied.entry, model: denied.backend.model, replica: AdminAnswers.replica(of: denied.backend),
                    allowedBy: allowing)
            }
        }
    }
}
