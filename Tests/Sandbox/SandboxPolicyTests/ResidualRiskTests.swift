import LaunchPlan
import SandboxPolicy
import Testing

/// What is said to remain open.
struct ResidualRiskTests {
    private func names(_ tier: SandboxTier, _ layers: SandboxLayers, landlock: Int = 7) -> [String] {
        ResidualRisk.remaining(tier: tier, layers: layers, landlockVersion: landlock).map(\.name)
    }

    @Test("in tier full with all that a machine can offer only the kernel itself remains")
    func full() {
        #expect(names(.full, .all) == ["shared-kernel"])
    }

    @Test("what the machine does not offer is named")
    func lacking() {
        #expect(
            names(.full, SandboxTier.full.layers.union(.speculationControls)) == [
                "shared-kernel", "limits-without-cgroup",
            ])
        #expect(
            names(.full, SandboxTier.full.layers.union(.controlGroup)) == ["shared-kernel", "processor-speculation"])
    }

    @Test("tier reduced names what its missing namespaces leave open, and more where Landlock is older")
    func reduced() {
        let current = names(.reduced, SandboxTier.reduced.layers.union(.hostDependent))
        #expect(
            current == [
                "shared-kernel", "path-existence", "shared-process-numbers", "fewer-layers", "threads-unlimited",
            ])
        let older = names(.reduced, SandboxTier.reduced.layers.union(.hostDependent), landlock: 5)
        #expect(Set(older).subtracting(current) == ["landlock-without-scopes"])
    }

    @Test("every risk has a remedy, and none of them weakens the machine")
    func remedies() {
        for risk in ResidualRisk.remaining(tier: .reduced, layers: [], landlockVersion: 1) {
            #expect(!risk.exposure.isEmpty && !risk.remedy.isEmpty)
            #expect(risk.line == "\(risk.name): \(risk.exposure)")
            for bad in ["sysctl", "sudo", "disable", "root"] { #expect(!risk.remedy.contains(bad), "\(risk.name)") }
        }
    }

    @Test("risks are declared in comments")
    func risks() throws {
        func risks(_ comment: String) throws -> [String] {
            let rule = #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "\#(comment)"}"#
            return try SeccompPolicy.parse(SeccompPolicyTests.policy(rule), file: "p.json").rules.flatMap(
                \.declaredRisks)
        }
        #expect(try risks("Reading. Risk: one thing. Risk: another.") == ["one thing.", "another."])
        #expect(try risks("Reading without Risks.") == [])
    }
}
