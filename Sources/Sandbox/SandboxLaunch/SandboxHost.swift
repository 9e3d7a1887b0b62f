package import LaunchPlan
internal import LinuxSystem
package import SandboxPolicy

/// What this machine has to offer beyond the layers that every tier demands. Found once, when the agent starts.
package struct SandboxHost: Sendable {
    /// Where backends get groups with limits; nil where none was delegated.
    package let controlGroups: ControlGroups?
    /// Why there are none, in words for the owner; empty where there are.
    package let controlGroupsAbsence: String
    /// Whether a process may forbid itself speculation here.
    package let hasSpeculationControls: Bool
    /// The kernel's Landlock, from 1; 0: none.
    package let landlockVersion: Int

    /// Looks. Moves this process into a control group of its own where one was delegated: call it before backends start.
    /// - Parameter claimingControlGroups: whether to; a command that runs one program beside an agent does not.
    package static func find(
        claimingControlGroups: Bool, controllers: [String] = ControlGroups.demanded
    ) -> SandboxHost {
        var groups: ControlGroups?
        var absence = "not asked for"
        if claimingControlGroups {
            do throws(ControlGroups.Absent) {
                groups = try ControlGroups.claim(controllers: controllers)
                absence = ""
            } catch {
                absence = error.description
            }
        }
        return SandboxHost(
            controlGroups: groups, controlGroupsAbsence: absence,
            hasSpeculationControls: SpeculationControls.count > 0, landlockVersion: LandlockRuleset.kernelVersion)
    }

    /// The layers of a tier on this machine.
    package func layers(of tier: SandboxTier) -> SandboxLayers {
        var layers = tier.layers
        if controlGroups != nil { layers.insert(.controlGroup) }
        if hasSpeculationControls { layers.insert(.speculationControls) }
        return layers
    }

    /// What remains open in a tier on this machine.
    package func residualRisks(of tier: SandboxTier) -> [ResidualRisk] {
        ResidualRisk.remaining(tier: tier, layers: layers(of: tier), landlockVersion: landlockVersion)
    }
}
