internal import AdminService
internal import BackendSupervisor
internal import ConsumerAccess
package import EventLoop
internal import Foundation
internal import GRPC
internal import GRPCServices
internal import HandOver
internal import InferenceService
internal import Installation
internal import LaunchPlan
package import LinuxSystem
package import Logging
internal import SandboxLaunch
internal import SandboxPolicy
package import Settings
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
        let gate: ListenerGate?

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
    let pulls: PullDesk.Place
    let upgrades: UpgradeDesk
    let access: AccessControl
    private let firstKey: KeySecret?
    var security: ListenerSecurity
    private(set) var certificates: CertificateFollower?
    var isStopping = false
    var hasStarted = false
    /// Whether it has started, and neither ends nor makes way.
    var isServing: Bool { hasStarted && !isStopping }
    var lastReload: Task<Result<SettingsChange, Status>, Never>?
    let logger: Logger
    var limits: AgentLimits
    let supervisor: Supervisor
    let hand: OwnersHand
    let inference: InferenceService
    let health = HealthService()
    let consumers: Server
    let owner: Server
    /// Serves calls that the agent before this one passes on.
    let passed: Server
    /// What is passed on to the agent that takes this one's place, while that is under way.
    var passing: Passage?
    /// Serves the HTTP bridge, and those who come by it.
    let bridged: Server
    let sandboxHost: SandboxHost
    var bridge: HTTPBridge?
    /// Bridges that take no more requests and have answers to end.
    var retiredBridges: [HTTPBridge] = []
    let tracer: Tracer?
    /// Keeps backends and turns if this process dies; nil where its owner has not asked for that.
    var holder: Holder?
    /// What an agent with the same state folder has left that died, until this one has started.
    var left: LeftParcels?
    /// How much of that there was.
    var leftCount = 0

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

    func watchCertificates() {
        certificates?.stop()
        certificates = nil
        guard !security.files.isEmpty else { return }
        certificates = CertificateFollower(of: consumers, bridge: bridge, security: security, logger: logger) {
            [weak self] in self?.certificateFingerprint = $0
        }
    }

    private static func claimedSandboxHost(logger: Logger) -> SandboxHost {
        let host = SandboxHost.find(claimingControlGroups: true)
        if !host.controlGroupsAbsence.isEmpty {
            logger.info("backends have no control groups: \(host.controlGroupsAbsence)")
        }
        return host
    }

    static func sandboxTier(_ configuration: HostConfiguration) throws(HostError) -> SandboxTier {
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
