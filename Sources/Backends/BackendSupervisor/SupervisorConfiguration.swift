package import LaunchPlan
package import LinuxSystem
package import SandboxLaunch
package import SandboxPolicy

/// A supervisor's configuration: the facts of the machine and the owner's settings.
package struct SupervisorConfiguration: Sendable {
    /// The folder of the backends; only its owner may write to it.
    package var backendsDirectory: String
    /// The folders of models, in order of precedence; one that is not there yet may come.
    package var modelsDirectories: [String] = []
    /// How long a model that is loaded on demand is kept after its last request, where nothing else is said; nil: until its
    /// memory is needed.
    package var keepAliveSeconds: UInt32? = usualKeepAliveSeconds
    package static let usualKeepAliveSeconds: UInt32 = 300
    /// The memory that all models together may take; nil: half of the machine's.
    package var memoryBudgetBytes: UInt64?
    /// Reads the machine's memory; tests have their own.
    package var hostMemory: @Sendable () -> HostMemory = { HostMemory.read() }
    /// The folder of the seccomp policies.
    package var policiesDirectory: String
    /// The path of `hearth-sandbox`.
    package var launcherPath: String
    /// The sandbox tier of every backend; one that cannot be held in it does not start.
    package var tier: SandboxTier
    /// The sandbox features that the machine offers beyond the tier.
    package var host: SandboxHost
    /// The limits that a manifest cannot exceed.
    package var owner: OwnerLimits
    /// Where to remember the digests of weights; nil: nowhere.
    package var stateDirectory: String?
    /// What the owner has accepted of the backends; nil: the owner lets every change of them run.
    package var pins: PinBook?
    package var limits = Limits()
    /// Whether a backend is started again after its process was lost; a trial run does without.
    var restartsBackends = true
    /// The kernel's settings that decide whether a tier can be had; tests have their own.
    var hostSettings = HostSettings.paths

    package init(
        backendsDirectory: String, policiesDirectory: String, launcherPath: String, tier: SandboxTier = .full,
        host: SandboxHost, owner: OwnerLimits
    ) {
        self.backendsDirectory = backendsDirectory
        self.policiesDirectory = policiesDirectory
        self.launcherPath = launcherPath
        self.tier = tier
        self.host = host
        self.owner = owner
    }
}
