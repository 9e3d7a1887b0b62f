internal import AdminService
internal import BackendSupervisor
internal import ConsumerAccess
package import EventLoop
internal import Foundation
internal import GRPC
internal import GRPCServices
internal import HTTP2Connection
internal import HTTPProtocols
internal import HandOver
internal import InferenceMessages
internal import InferenceService
internal import Installation
internal import LaunchPlan
internal import LimitDeclaration
package import LinuxSystem
package import Logging
internal import SandboxLaunch
internal import SandboxPolicy
package import Settings
internal import TLSSession
internal import TraceExport

/// The agent: everything that runs between `start` and `stop`, on the I/O loop.
@IOLoop
package final class HostAgent {
    /// A served address and how it is protected.
    package struct Listener: Sendable {
        package let address: SocketAddress
        package let security: String
        private(set) var requiresKey: Bool
        /// What asks for a key there; nil for HTTP, whose bridge has a gate of its own.
        fileprivate let gate: ListenerGate?

        @IOLoop
        mutating func setRequiresKey(by configuration: HostConfiguration) {
            guard let gate else { return }
            requiresKey = configuration.requiresKey(on: address)
            gate.requiresKey = requiresKey
        }
    }

    /// The settings in force.
    var configuration: HostConfiguration
    /// Settings, by name, that were read again and wait for the next start.
    var needsRestart: [String] = []
    let source: SettingsSource
    /// The addresses that consumers connect to, with the ports that the kernel chose.
    package internal(set) var listeners: [Listener] = []
    /// SHA-256 of the certificate; nil when no address has TLS.
    package internal(set) var certificateFingerprint: String?

    /// The connection strings of the addresses that ask for a key, if this start made the first key. They contain it
    /// and so are for the owner's eyes only.
    package var firstConnections: [String] {
        guard let firstKey else { return [] }
        return listeners.filter(\.requiresKey).map { listener in
            ConnectionString(
                address: listener.address.forConsumers, key: firstKey,
                fingerprint: listener.security == "tls" ? certificateFingerprint.flatMap(Fingerprint.parse) : nil
            ).text
        }
    }

    let layout: HostLayout
    let executable: String
    private let pulls: PullDesk.Place
    private let upgrades: UpgradeDesk
    let access: AccessControl
    private let firstKey: KeySecret?
    var security: ListenerSecurity
    private(set) var certificates: CertificateFollower?
    private var isStopping = false
    private var hasStarted = false
    /// Whether it has started, and neither ends nor makes way.
    var isServing: Bool { hasStarted && !isStopping }
    var lastReload: Task<Result<SettingsChange, Status>, Never>?
    let logger: Logger
    var limits: AgentLimits
    let supervisor: Supervisor
    let hand: OwnersHand
    let inference: InferenceService
    private let health = HealthService()
    let consumers: Server
    let owner: Server
    /// Serves calls that the agent before this one passes on.
    let passed: Server
    /// What is passed on to the agent that takes this one's place, while that is under way.
    var passing: Passage?
    /// Serves the HTTP bridge, and those who come by it.
    let bridged: Server
    private let sandboxHost: SandboxHost
    var bridge: HTTPBridge?
    /// Bridges that take no more requests and have answers to end.
    var retiredBridges: [HTTPBridge] = []
    private let tracer: Tracer?
    /// Keeps backends and turns if this process dies; nil where its owner has not asked for that.
    var holder: Holder?
    /// What an agent with the same state folder has left that died. What is still here when this one has started is let go.
    var held: [Parcel] = []
    /// How much of that there was.
    var heldCount = 0

    /// Finds the parts, then gives up root, if it has it, before anything is opened or started. Opens no address yet.
    ///
    /// `source`: where the settings were read, and are read again. `arguments`: the command line of this process, for an
    /// agent that takes its place.
    package init(
        _ configuration: HostConfiguration, from source: SettingsSource, executable: String, arguments: [String],
        environment: [String: String], logger: Logger
    ) throws(HostError) {
        let descriptors = DescriptorBudget.claimed()
        let layout = try HostLayout(configuration, executable: executable, environment: environment)
        try PrivilegeDrop.apply(user: configuration.user) { (user) throws(HostError) in
            if layout.service == nil {
                try StateFolder.prepare(layout.state, for: user)
            } else {
                try layout.service?.makeRoot(for: user)
            }
        }
        for line in try layout.service?.prepare() ?? [] { logger.notice("\(line)") }
        try StateFolder.prepare(layout.state, for: nil)
        try InstalledParts.demandTrust(launcher: layout.launcher, policies: layout.policies)
        self.configuration = configuration
        self.source = source
        self.layout = layout
        self.executable = executable
        pulls = PullDesk.Place(
            program: try? InstalledParts.program("hearth-pull", executable: executable), folder: layout.models.first,
            environment: environment)
        upgrades = UpgradeDesk(
            UpgradeDesk.Place(
                executable: executable, arguments: arguments, environment: environment, state: layout.state,
                serviceState: layout.service?.state), logger: logger)
        self.logger = logger
        security = try ListenerSecurity(configuration, state: layout.state)
        certificateFingerprint = security.fingerprint
        limits = AgentLimits(descriptors: descriptors, times: configuration.connectionTimes)
        sandboxHost = HostAgent.claimedSandboxHost(logger: logger)
        let pins = try HostAgent.pins(layout, configuration, executable: executable, logger: logger)
        supervisor = try HostAgent.supervisor(
            layout, configuration, limits.backends, sandboxHost, pins, logger: logger)
        inference = InferenceService(supervisor: supervisor, limits: limits.inference)
        tracer = try CollectorSetup.setup(configuration).map { Tracer($0, logger: logger) }
        inference.tracer = tracer
        inference.logger = logger
        let holdFile = HoldFile(state: layout.state)
        hand = OwnersHand(supervisor, file: holdFile, logger: logger)
        hand.restore(try holdFile.read())
        consumers = Server(limits: limits.consumers)
        owner = Server(limits: descriptors.owner, priority: .first)
        bridged = Server(limits: HostAgent.limitsOfBridge(limits.consumers))
        passed = Server(limits: InferenceService.limitsOfPassedCalls(limits.consumers))
        (access, firstKey) = try AccessControl.prepared(
            configuration, state: layout.state, environment: environment, logger: logger)
    }

    /// Accepts consumers and the owner, and starts the backends.
    ///
    /// `takingOver`: takes over from the agent that runs with the same state folder, if there is one. Its consumers
    /// notice nothing: its listeners, its backends and its calls pass to this one, and it relays what its consumers are
    /// connected for. Throws without disturbing that agent when an address cannot be had, when another agent is taking
    /// over, or when `stop` came first. `onHandOver` is called when another agent, in the process of this number, has taken
    /// over from this one, `onStop` when its owner asks it to stop.
    package func start(
        takingOver: Bool, onHandOver: @escaping @IOLoop @Sendable (Int32) -> Void,
        onStop: @escaping @IOLoop @Sendable () -> Void
    ) async throws(HostError) {
        let ownerAddress = try OwnerSocket.address(state: layout.state, environment: [:])
        try registerServices(onHandOver: onHandOver, onStop: onStop)
        let predecessor = takingOver ? try await Predecessor.find(at: ownerAddress, state: layout.state) : nil
        if takingOver, predecessor == nil { logger.notice("no agent runs that could be taken over from") }
        if predecessor == nil { await takeBackHeld() }
        defer { held = [] }
        var backends: [PassedBackend] = []
        do throws(HostError) {
            if let predecessor {
                try predecessor.demand(modelsFound())
                try await predecessor.begin()
            }
            try bind(ownerAt: ownerAddress, succeeding: predecessor)
            guard !isStopping else { throw HostError("stopped before it had started") }
            if let predecessor {
                let passed = try await predecessor.take(callsAt: servePassedCalls())
                backends = passed.backends
                hand.goOn(with: passed.hold)
                access.goOn(with: passed.given.usedTokens)
            } else {
                try startHolder()
            }
        } catch {
            if predecessor != nil {
                // What is that agent's stays as it is.
                consumers.leaveListeners()
                owner.leaveListeners()
            }
            consumers.close()
            owner.close()
            bridge?.stop()
            throw error
        }
        if let predecessor {
            logger.notice(
                "took over from the agent with pid \(predecessor.pid), with \(backends.count) processes of backends")
        }
        if predecessor != nil {
            do throws(HostError) {
                try startHolder()
            } catch {
                // The agent before is gone.
                logger.error("\(error)")
            }
        }
        try startBackends(goingOnWith: backends + takeHeldBackends())
        inference.goOnWithPassedCalls()
        // Who comes back finds his turn.
        await predecessor?.passesCalls()
        try await goOnWithHeldTurns()
        try startListening()
        watchCertificates()
        hasStarted = true
    }

    /// Takes every address before it listens on any.
    private func bind(ownerAt ownerAddress: SocketAddress, succeeding: Predecessor?) throws(HostError) {
        try bindForConsumers(succeeding: succeeding)
        if let address = listeners.first?.address { tracer?.serves(on: address) }
        _ = try bind(
            owner, to: ownerAddress, .plaintext, inherited: inherited(.owner, of: ownerAddress, from: succeeding))
        try bindBridge(succeeding: succeeding)
    }

    private func startListening() throws(HostError) {
        do throws(LinuxError) {
            try consumers.startListening()
            try owner.startListening()
            try bridge?.start()
        } catch {
            throw HostError("\(error)")
        }
    }

    /// Serves calls that the agent before this one passes on; returns the other end of their socket.
    func servePassedCalls() throws(HostError) -> Descriptor {
        do throws(LinuxError) {
            let pair = try Descriptor.socketPair()
            try pair.first.setNonblocking(true)
            inference.servePassedCalls(on: passed)
            return pair.take { own, given in
                passed.serve(own, gate: access.gateOfPassedCalls(of: inference))
                return given
            }
        } catch {
            throw HostError("\(error)")
        }
    }

    private func registerServices(
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
                    AdminService.Survival(holder: self?.shownHolder, takenBack: self?.heldCount ?? 0)
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

    /// The socket that the agent before this one has for an address; nil: it has none, or there is no such agent.
    private func inherited(
        _ role: Hearth_Handover_V1_Listener.Role, of address: SocketAddress?, from predecessor: Predecessor?
    ) -> BoundSocket? {
        guard let address, let predecessor else { return nil }
        return predecessor.takeListener(role, of: address)
    }

    private func bindForConsumers(succeeding: Predecessor?) throws(HostError) {
        for address in configuration.listen {
            let security = security.security(of: address, configuration)
            let requiresKey = configuration.requiresKey(on: address)
            let gate = access.gate(requiresKey: requiresKey, clientSubjects: configuration.tlsClientSubjects)
            let bound = try bind(
                consumers, to: address, security, gate: gate,
                inherited: inherited(.consumers, of: address, from: succeeding))
            listeners.append(
                Listener(
                    address: bound, security: security.isTLS ? "tls" : "plaintext", requiresKey: requiresKey, gate: gate
                ))
        }
    }

    /// The bridge has one connection, on which all its clients come, each with its own key: what bounds a client by
    /// connection is the bridge's to bound.
    static func limitsOfBridge(_ consumers: Limits) -> Limits {
        var limits = consumers
        limits.http2.idleMilliseconds = 0
        limits.http2.ageMilliseconds = 0
        limits.http2.resetsAtOnceMax = .max
        limits.http2.resetsPerSecondMax = .max
        limits.http2.lateResetsPerSecondMax = .max
        return limits
    }

    private func bindBridge(succeeding: Predecessor?) throws(HostError) {
        bridge = try makeBridge(
            configuration, try Self.bridgeSettings(configuration, security),
            inherited: inherited(.http, of: try configuration.httpAddress(), from: succeeding))
        listHTTP()
    }

    /// What a bridge is told; it reads the files of TLS.
    nonisolated static func bridgeSettings(
        _ configuration: HostConfiguration, _ security: ListenerSecurity
    ) throws(HostError) -> BridgeSettings {
        guard let address = try configuration.httpAddress() else { return BridgeSettings() }
        var settings = BridgeSettings(
            requiresKey: configuration.requiresKeyOverHTTP(on: address), names: configuration.httpNames,
            origins: configuration.httpOrigins)
        if let files = security.http {
            do throws(TLSError) {
                settings.tls = try BridgeSettings.TLS.read(files, security.clientSubjects).0
            } catch {
                throw HostError("http \(address): TLS cannot be served: \(error)")
            }
        }
        try checkSize(settings)
        return settings
    }

    nonisolated static func checkSize(_ settings: BridgeSettings) throws(HostError) {
        guard settings.json.count <= BridgeSettings.bytesMax else {
            throw HostError("http-name and http-origin have too many bytes together: name fewer")
        }
    }

    /// Binds its address, unless its socket is `inherited`; nil where no HTTP is served.
    func makeBridge(
        _ configuration: HostConfiguration, _ settings: BridgeSettings, inherited: consuming BoundSocket?
    ) throws(HostError) -> HTTPBridge? {
        guard let address = try configuration.httpAddress() else { return nil }
        let setup = HTTPBridge.Setup(
            program: try InstalledParts.program("hearth-bridge", executable: executable),
            sandbox: Sandbox(
                launcherPath: layout.launcher, policiesDirectory: layout.policies,
                tier: try HostAgent.sandboxTier(configuration), host: sandboxHost),
            settings: settings)
        do throws(LinuxError) {
            return try HTTPBridge(
                setup, on: address, inherited: inherited, server: bridged,
                gate: access.gate(requiresKey: settings.requiresKey, ownersService: AdminService.serviceName),
                logger: logger)
        } catch {
            throw HostError("\(error); choose another address with --http, or end what holds this one")
        }
    }

    /// Lists the address of the bridge behind the others.
    func listHTTP() {
        listeners.removeAll { $0.gate == nil }
        guard let bridge else { return }
        let scheme = bridge.settings.tls == nil ? "http" : "https"
        listeners.append(Listener(address: bridge.address, security: scheme, requiresKey: false, gate: nil))
    }

    private func modelsFound() throws(HostError) -> Set<String> {
        do {
            return try supervisor.modelsFound()
        } catch {
            throw HostError("the backends in \(layout.backends) cannot be started: \(error)")
        }
    }

    private func startBackends(goingOnWith passed: [PassedBackend]) throws(HostError) {
        logger.notice("every backend is held in sandbox tier \(configuration.tier), or does not start")
        for risk in supervisor.residualRisks { logger.notice("what remains open: \(risk.line)") }
        do {
            try supervisor.start(goingOnWith: passed)
        } catch {
            throw HostError("the backends in \(layout.backends) cannot be started: \(error)")
        }
    }

    /// Serves gRPC health and reflection, which any gRPC tool asks for, to consumers and to the owner.
    private func serveHealthAndReflection() throws(HostError) {
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

    private func reportHealth() {
        let takesRequests = supervisor.hold.isEmpty
        let models = supervisor.models.values.map {
            (id: $0.id, isReady: takesRequests && ($0.state == .ready || $0.state == .unloaded))
        }
        health.update(HealthReport.health(inference: inference.name, models: models))
    }

    /// Reports the end to the watchers of the host's health, lets open calls go on for the grace, then stops the
    /// backends and closes every connection. Calls that its owner has paused are not waited for.
    package func stop(graceMilliseconds: UInt64) async {
        isStopping = true
        // It would have nobody to take over from, and would go on.
        async let upgradeEnd: Void = upgrades.stop()
        // What its owner ends is not kept, also if it does not come to its end.
        await holder?.farewell()
        inference.endResumption()
        let graceMilliseconds = supervisor.hold.pause == nil ? graceMilliseconds : 0
        let graceEnd = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        health.end()
        access.stop()
        certificates?.stop()
        async let bridgeEnd: Void = endBridge(graceMilliseconds) {
            await $0.drain(graceMilliseconds: graceMilliseconds)
        }
        await consumers.drain(graceMilliseconds: graceMilliseconds)
        await bridgeEnd
        await upgradeEnd
        await end(graceMilliseconds: graceMilliseconds, graceEnd)
    }

    /// Another agent has taken the place of this one: relays open calls for the grace, then stops. `stop` ends it sooner.
    package func handOver(graceMilliseconds: UInt64) async {
        hasStarted = false
        health.endWatches()
        await holder?.farewell()
        certificates?.stop()
        let graceEnd = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        async let bridgeEnd: Void = leaveBridge(graceMilliseconds)
        await consumers.handOver(graceMilliseconds: graceMilliseconds)
        await bridgeEnd
        await passed.handOver(graceMilliseconds: graceEnd.since(.now()) / 1_000_000)
        await passing?.end()
        access.stop()
        await end(graceMilliseconds: graceMilliseconds, graceEnd)
    }

    /// Lets those who come by the bridge have their answers, whose ends may leave it after they have left this process.
    private func endBridge(_ graceMilliseconds: UInt64, _ drain: @IOLoop (Server) async -> Void) async {
        for bridge in retiredBridges { bridge.stop() }
        guard let bridge else { return }
        bridge.retire()
        let end = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        await drain(bridged)
        await bridge.end(graceMilliseconds: end.since(.now()) / 1_000_000)
    }

    /// Lets those who come by the bridge have their answers, as the bridge of another agent accepts the next ones.
    private func leaveBridge(_ graceMilliseconds: UInt64) async {
        for bridge in retiredBridges { bridge.stop() }
        let end = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        await bridge?.end(graceMilliseconds: graceMilliseconds)
        await bridged.handOver(graceMilliseconds: end.since(.now()) / 1_000_000)
    }

    private func end(graceMilliseconds: UInt64, _ graceEnd: Monotonic) async {
        await supervisor.stop(graceMilliseconds: min(graceMilliseconds, 2000))
        consumers.close()
        bridged.close()
        passed.close()
        owner.close()
        await tracer?.stop(withinMilliseconds: graceEnd.since(.now()) / 1_000_000)
    }

    func watchCertificates() {
        certificates?.stop()
        certificates = nil
        guard !security.files.isEmpty else { return }
        certificates = CertificateFollower(of: consumers, bridge: bridge, security: security, logger: logger) {
            [weak self] in self?.certificateFingerprint = $0
        }
    }

    private func bind(
        _ server: Server, to address: SocketAddress, _ security: ServerSecurity, gate: (any CallGate)? = nil,
        inherited: consuming BoundSocket? = nil
    ) throws(HostError) -> SocketAddress {
        do {
            return try server.bind(to: address, security: security, gate: gate, inherited: inherited)
        } catch {
            throw HostError(
                "\(error); choose another address with --listen, or end what holds this one (--take-over makes an agent "
                    + "with the same --state hand over)")
        }
    }

    private static func claimedSandboxHost(logger: Logger) -> SandboxHost {
        let host = SandboxHost.find(claimingControlGroups: true)
        if !host.controlGroupsAbsence.isEmpty {
            logger.info("backends have no control groups: \(host.controlGroupsAbsence)")
        }
        return host
    }

    private static func sandboxTier(_ configuration: HostConfiguration) throws(HostError) -> SandboxTier {
        guard let tier = SandboxTier(rawValue: configuration.tier) else {
            throw HostError("there is no sandbox tier '\(configuration.tier)'")
        }
        return tier
    }

    private static func pins(
        _ layout: HostLayout, _ configuration: HostConfiguration, executable: String, logger: Logger
    ) throws(HostError) -> PinBook? {
        guard configuration.pinBackends != "off" else {
            logger.notice("backends are not pinned (pin-backends is off): one that has changed runs without asking")
            return nil
        }
        _ = try InstalledParts.digests(executable: executable)
        do throws(SupervisorError) {
            return try PinBook(
                state: layout.state, installed: { (try? InstalledParts.digests(executable: executable)) ?? [:] },
                logger: logger)
        } catch {
            throw HostError("\(error)")
        }
    }

    private static func supervisor(
        _ layout: HostLayout, _ configuration: HostConfiguration, _ limits: SupervisorConfiguration.Limits,
        _ host: SandboxHost, _ pins: PinBook?, logger: Logger
    ) throws(HostError) -> Supervisor {
        let tier = try sandboxTier(configuration)
        // One core is left to the owner.
        let threads = max(ProcessInfo.processInfo.activeProcessorCount - 1, 1)
        var owner = OwnerLimits(threads: UInt32(clamping: threads))
        owner.readablePaths = configuration.readable
        owner.devices = Set(configuration.devices)
        var supervision = SupervisorConfiguration(
            backendsDirectory: layout.backends, policiesDirectory: layout.policies, launcherPath: layout.launcher,
            tier: tier, host: host, owner: owner)
        supervision.stateDirectory = layout.state
        supervision.pins = pins
        supervision.modelsDirectories = layout.models
        supervision.keepAliveSeconds = configuration.keepAlive ?? supervision.keepAliveSeconds
        supervision.memoryBudgetBytes = configuration.memory
        supervision.limits = limits
        return Supervisor(configuration: supervision, logger: logger)
    }
}

extension ServerSecurity {
    fileprivate var isTLS: Bool {
        if case .tls = self { true } else { false }
    }
}
