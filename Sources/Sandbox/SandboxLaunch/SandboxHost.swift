package import LaunchPlan
internal import LinuxSystem
package import SandboxPolicy

/// What this machine offers beyond the layers that every tier demands. Found once, when the agent starts.
package struct SandboxHost: Sendable {
    /// The delegated control groups, in which backends get groups with limits; nil: none was delegated.
    package let controlGroups: ControlGroups?
    /// Why there are none, in words for the owner; empty if there are.
    package let controlGroupsAbsence: String
    /// Whether a process can turn off speculation for itself.
    package let hasSpeculationControls: Bool
    /// The version of the kernel's Landlock, from 1; 0: none.
    package let landlockVersion: Int

    /// Examines this machine. Call it before backends start, because it may move this process into another control
    /// group.
    /// - Parameter claimingControlGroups: whether to move this process into a control group of its own, if one was
    ///   delegated; a command that runs one program beside an agent does not.
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

    /// What remains open in a tier on this machine; `layers` hold besides those that are known here.
    package func residualRisks(of tier: SandboxTier, beside layers: SandboxLayers = []) -> [ResidualRisk] {
        let layers = self.layers(of: tier).union(layers)
        return ResidualRisk.remaining(tier: tier, layers: layers, landlockVersion: landlockVersion)
    }
}
