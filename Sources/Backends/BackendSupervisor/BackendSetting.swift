internal import EventLoop
internal import Logging
internal import SandboxLaunch
internal import SandboxPolicy

/// What all backends of one supervisor share.
@IOLoop
final class BackendSetting {
    var configuration: SupervisorConfiguration
    let logger: Logger
    let starter: any BackendStarter
    let digests: DigestCache
    /// Launches of all backends that have not returned.
    var launches = 0
    /// What the owner lets compute.
    var hold = OwnerHold()
    /// Ends the inspections that run.
    var inspections: [ObjectIdentifier: @IOLoop () -> Void] = [:]
    let residualRisks: [ResidualRisk]
    /// A process can be passed on from now on, as it is described, with a key of its own; called again when the description
    /// is another one. And its end, with the key.
    var passable: (@IOLoop (UInt64, PassedBackend) -> Void)?
    var gone: (@IOLoop (UInt64) -> Void)?
    var lastPassingKey: UInt64 = 0
    /// A state, its detail or its process changed; called at most once a turn for each backend.
    var changed: (@IOLoop (ManagedBackend) -> Void)?
    /// A backend of this model has room for a sequence again, or another state; at most once a turn for each backend.
    var available: (@IOLoop (String) -> Void)?

    init(configuration: SupervisorConfiguration, logger: Logger, starter: any BackendStarter) {
        self.configuration = configuration
        self.logger = logger
        self.starter = starter
        digests = DigestCache(path: configuration.stateDirectory.map { "\($0)/digests" })
        residualRisks = configuration.host.residualRisks(of: configuration.tier)
    }
}
