internal import AdminService
internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import GRPCServices
internal import InferenceMessages
internal import InferenceService
internal import Installation
internal import LimitDeclaration
internal import LinuxSystem
internal import Logging
internal import Settings
internal import TraceExport

// What it serves.
extension HostAgent {
    func registerServices(
        onHandOver: @escaping @IOLoop @Sendable (Int32) -> Void, onStop: @escaping @IOLoop @Sendable () -> Void
    ) throws(HostError) {
        for server in [consumers, bridged] { server.register(inference) }
        consumers.onConnectionFailure = { [logger] peer, reason in
            logger.debug("a consumer's connection failed", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
        }
        let admin = AdminService(
            supervisor: supervisor, inference: inference, consumers: consumers, bridged: bridged,
            facts: AdminService.Facts(
                version: HearthVersion.current, limits: { [weak self] in self?.limits.named ?? [] }, pulls: pulls,
                listeners: { [weak self] in (self?.listeners ?? []).map { ($0.address.description, $0.security) } },
                bridge: { [weak self] in self?.bridge?.shown },
                bridgeOutput: { [weak self] in self?.bridge?.log.output(after: $0, of: $1) },
                settings: { [weak self] in (self?.source.file ?? "", self?.needsRestart ?? []) },
                tracing: { [weak self] in self?.tracer?.report },
                survival: { [weak self] in
                    AdminService.Survival(holder: self?.shownHolder, takenBack: self?.leftCount ?? 0)
                }))
        admin.onHandOver = { [weak self] (pid, path, failed) throws(Status) in
            guard let self else { throw Status(.unavailable, "the agent has ended") }
            let done: @IOLoop @Sendable () -> Void = { [upgrades] in
                upgrades.takesOver(pid)
                onHandOver(pid)
            }
            try passOn(to: pid, at: path, done: done, failed: failed)
        }
        admin.onUpgrade = { [weak self] (program) async throws(Status) -> (pid: Int32, version: String) in
            guard let self, self.isServing else {
                throw Status(.failedPrecondition, "the agent starts or ends; no other can take its place now")
            }
            return try await self.upgrades.upgrade(to: program)
        }
        admin.onStop = onStop
        admin.onReload = { [weak self] () async throws(Status) -> (applied: [String], needsRestart: [String]) in
            guard let change = try await self?.reload() else { throw Status(.unavailable, "the agent has ended") }
            return (change.applied.map(\.rawValue), change.needsRestart.map(\.rawValue))
        }
        admin.onHold = { [hand] (request) throws(Status) in try await hand.take(request) }
        supervisor.onSleep = { [weak self] seconds in self?.inference.hostSlept(seconds: seconds) }
        supervisor.onHold = { [weak self] in
            self?.inference.holdChanged()
            self?.reportHealth()
        }
        admin.keys = { [access] in access.book }
        admin.onKeys = { [access] (change) throws(AccessError) in try await access.change(change) }
        owner.register(admin)
        bridged.register(BridgedAdmin(admin))
        try serveHealthAndReflection()
    }

    /// Serves gRPC health and reflection, which any gRPC tool asks for, to consumers and to the owner.
    func serveHealthAndReflection() throws(HostError) {
        // The supervisor and a call's task may outlive the agent.
        supervisor.onChange = { [weak self] _ in self?.reportHealth() }
        reportHealth()
        for server in [consumers, owner, bridged] {
            server.register(health)
            for version in ReflectionService.Version.allCases {
                do throws(Status) {
                    server.register(
                        try ReflectionService(version, descriptors: ServiceDescriptors.base64) { [weak server] in
                            server?.serviceNames ?? []
                        })
                } catch {
                    throw HostError("this build of hearth is damaged: \(error.message)")
                }
            }
        }
    }

    func reportHealth() {
        let takesRequests = supervisor.hold.isEmpty
        let models = supervisor.models.values.map {
            (id: $0.id, isReady: takesRequests && ($0.state == .ready || $0.state == .unloaded))
        }
        health.update(HealthReport.health(inference: inference.name, models: models))
    }
}
