package import LaunchPlan
package import SandboxLaunch
package import SandboxPolicy

/// What a supervisor needs to know of its machine and its owner's wishes.
package struct SupervisorConfiguration: Sendable {
    /// The folder of the backends; only its owner may write to it.
    package var backendsDirectory: String
    /// The folder of the seccomp policies.
    package var policiesDirectory: String
    /// `hearth-sandbox`.
    package var launcherPath: String
    /// How every backend is held; one that cannot be held so does not start.
    package var tier: SandboxTier
    /// What the machine offers beyond the tier.
    package var host: SandboxHost
    /// What a manifest cannot exceed.
    package var owner: OwnerLimits
    /// Where to remember the digests of weights; nil: nowhere.
    package var stateDirectory: String?
    package var limits = Limits()
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
