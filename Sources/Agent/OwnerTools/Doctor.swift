internal import Foundation
internal import Installation
package import LaunchPlan
internal import LinuxSystem
internal import SandboxAudit
internal import SandboxLaunch
internal import SandboxPolicy
package import Settings

/// Tests how well this machine can confine a backend: launches the sandbox, checks it by what the kernel shows in
/// /proc, and has a hostile program try all its acts, outside and inside. Needs no configuration and no agent.
package struct Doctor: Sendable {
    /// The tier to examine; nil: the strongest available.
    package var tier: SandboxTier?
    /// The policy whose filter is tested.
    package var policy = "inference-cpu"
    package var policies: String?
    /// The user to become when this process is root.
    package var user: String?

    package init() {}

    /// A tier that was launched: the observation of it, and what remains open in it.
    private struct Reached {
        let tier: SandboxTier
        let sandbox: Sandbox
        let plan: LaunchPlan
        let observation: LayerObservation
    }

    /// Throws when it cannot examine anything: a part of Hearth is missing, or there is no user to run probes as.
    /// Everything that it makes and starts is gone when it returns, and every other child of this process, also when one of
    /// the `TerminationSignals` that the process holds interrupts it.
    package func examine(executable hearth: String) throws(HostError) -> DoctorReport {
        // A container's root is an ordinary user outside, and may have no other user to become.
        if user != nil || Namespaces.isMachineRoot() {
            try PrivilegeDrop.apply(user: user ?? Doctor.unprivilegedUser()) { (_) throws(HostError) in }
        }
        let probePath = try InstalledParts.program("sandbox-probe", executable: hearth)
        return try Doctor.withTemporaryFolder(prefix: "hearth-doctor-") { (folder) throws(HostError) in
            do {
                let signals = try TerminationSignals()
                // Probes outside start processes, and are killed before these end.
                try Descendants.adopt()
                defer { Descendants.end() }
                return try examine(hearth, probePath, folder, until: signals)
            } catch {
                throw HostError("\(error)")
            }
        }
    }

    /// The service user if there is one, else `nobody`.
    private static func unprivilegedUser() -> String {
        SystemUser(named: PrivilegeDrop.serviceUser) == nil ? "nobody" : PrivilegeDrop.serviceUser
    }

    private func examine(
        _ hearth: String, _ probePath: String, _ folder: String, until signals: borrowing TerminationSignals
    ) throws(AuditError) -> DoctorReport {
        let audit = try SandboxAudit(
            probePath: probePath, folder: folder, interruption: signals.descriptor.raw)
        let shared = InstalledParts.prefix(of: hearth).appending(path: "share/hearth")
        let facts = HostFacts.read(shippedAppArmorProfile: shared.appending(path: "apparmor-profile").path)
        let host = SandboxHost.find(claimingControlGroups: false)
        var obstacle: String?
        var reached: Reached?
        for tier in tier.map({ [$0] }) ?? [.full, .reduced] where reached == nil {
            let sandbox: Sandbox
            do throws(HostError) {
                sandbox = Sandbox(
                    launcherPath: try InstalledParts.program("hearth-sandbox", executable: hearth),
                    policiesDirectory: try InstalledParts.policies(asked: policies, executable: hearth), tier: tier,
                    host: host)
            } catch {
                throw AuditError(error.description)
            }
            let plan = try audit.plan(policy: policy, sandbox: sandbox)
            do throws(AuditError) {
                let observation = try audit.observe(plan: plan, sandbox: sandbox)
                reached = Reached(tier: tier, sandbox: sandbox, plan: plan, observation: observation)
            } catch {
                obstacle = obstacle ?? error.description
            }
        }
        var results: [ProbeResult] = []
        for probe in reached == nil ? [] : audit.probes {
            guard let reached else { break }
            let outside = try audit.tryOutside(probe)
            let inside = try audit.tryInside(probe, plan: reached.plan, sandbox: reached.sandbox)
            results.append(ProbeResult(probe: probe, outside: outside, inside: inside))
        }
        return report(facts, host, reached, results, obstacle: obstacle)
    }

    private func report(
        _ facts: HostFacts, _ host: SandboxHost, _ reached: Reached?, _ results: [ProbeResult], obstacle: String?
    ) -> DoctorReport {
        // An agent would claim the groups that are delegated.
        let claimable: SandboxLayers = facts.controlGroupAbsence.isEmpty ? .controlGroup : []
        let risks = reached.map { host.residualRisks(of: $0.tier, beside: claimable) + policyRisks($0.sandbox) } ?? []
        // The plan was launched, so its filter can be read.
        let declared = reached.flatMap { try? DeclaredEscape.probes(risks: risks, filter: $0.plan.filter) } ?? []
        let failing = reached?.observation.contradicted ?? []
        var held = (reached?.plan.layers ?? []).subtracting(failing)
        if reached != nil { held.formUnion(claimable) }
        let escapes = results.contains { $0.verdict == .escaped && !declared.contains($0.probe.name) }
        let isBroken = escapes || !failing.isEmpty
        // After an escape the list of layers says too little about the exposure.
        let exposure = max(LayerDescription.exposure(heldBy: held), isBroken ? Doctor.brokenExposure : 0)
        return DoctorReport(
            version: HearthVersion.current,
            user: SystemUser.currentIsRoot ? "root of a container" : SystemUser.currentName,
            kernel: facts.kernelRelease, policy: policy,
            tier: reached?.tier.rawValue ?? "refuse", obstacle: obstacle, exposure: exposure,
            exposureWord: LayerDescription.word(forExposure: exposure),
            layers: LayerDescription.all.map { layer in
                Doctor.layer(layer, held, failing, seen: reached?.observation.seen ?? [], facts)
            },
            findings: facts.findings.map {
                .init(name: $0.name, state: $0.state.rawValue, text: $0.text, remedy: $0.remedy)
            },
            probes: results.map { result in
                .init(
                    name: result.probe.name, group: result.probe.group, meaning: result.probe.meaning,
                    outside: result.outside.description, inside: result.inside.description,
                    verdict: result.verdict.rawValue, isDeclared: declared.contains(result.probe.name))
            },
            residualRisks: risks.map { .init(name: $0.name, exposure: $0.exposure, remedy: $0.remedy) },
            exitStatus: isBroken || reached == nil ? 2 : reached?.tier == .reduced ? 1 : 0)
    }

    /// The policy was read for the plan already, so reading it does not fail.
    private func policyRisks(_ sandbox: Sandbox) -> [ResidualRisk] {
        (try? SeccompPolicy.named(policy, in: sandbox.policiesDirectory)).map {
            ResidualRisk.added(by: $0, devices: [])
        } ?? []
    }

    /// The least exposure to report when a probe got through.
    private static let brokenExposure = 7.0

    private static func layer(
        _ description: LayerDescription, _ held: SandboxLayers, _ failing: SandboxLayers, seen: SandboxLayers,
        _ facts: HostFacts
    ) -> DoctorReport.Layer {
        let layer = description.layer
        let holds = held.contains(layer)
        let isOfNamespaces = SandboxTier.full.layers.subtracting(SandboxTier.reduced.layers).contains(layer)
        // The machine's findings may explain missing namespaces better than the layer's description.
        let remedy = isOfNamespaces ? facts.namespaceRemedy ?? description.remedy : description.remedy
        return DoctorReport.Layer(
            name: description.name, state: failing.contains(layer) ? .fails : holds ? .holds : .missing,
            isSeen: seen.contains(layer), stops: description.stops,
            exposure: holds ? 0 : LayerDescription.exposure(heldBy: SandboxLayers.all.subtracting(layer)),
            remedy: holds ? nil : failing.contains(layer) ? Doctor.failingRemedy : remedy)
    }

    private static let failingRemedy =
        "stop lending this machine, and report it with the output of: hearth doctor --json"

    /// Calls `body` with a temporary folder of this user, which is removed afterwards with everything in it.
    private static func withTemporaryFolder<Value>(
        prefix: String, _ body: (String) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        let base = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
        let path = "\(base)/\(prefix)\(UUID().uuidString.prefix(8).lowercased())"
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        } catch {
            throw HostError(
                "cannot make the folder \(path) (\(error.localizedDescription)); set TMPDIR to a folder of yours")
        }
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }
}
