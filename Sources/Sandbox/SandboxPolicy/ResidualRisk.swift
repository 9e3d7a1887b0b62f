package import LaunchPlan

/// Something that a backend could still do or learn in its sandbox on this machine; shown wherever the tier is.
package struct ResidualRisk: Hashable, Sendable {
    /// Lower case with hyphens, for programs and for looking it up.
    package let name: String
    /// A clause that says what remains.
    package let exposure: String
    /// A remedy for its owner; never one that weakens the machine.
    package let remedy: String

    package init(name: String, exposure: String, remedy: String) {
        self.name = name
        self.exposure = exposure
        self.remedy = remedy
    }

    /// The risk as one line: "name: exposure".
    package var line: String { "\(name): \(exposure)" }

    /// The risks that remain in a tier on this machine, whatever the policy. Pure.
    /// - Parameters:
    ///   - layers: the layers that are applied, which show what this machine lacks.
    ///   - landlockVersion: the kernel's Landlock version; 0: unknown.
    package static func remaining(
        tier: SandboxTier, layers: SandboxLayers, landlockVersion: Int
    ) -> [ResidualRisk] {
        var risks = [sharedKernel]
        if tier == .reduced { risks += reduced }
        if !layers.contains(.controlGroup) { risks.append(limitsPerProcess) }
        if !layers.contains(.speculationControls) { risks.append(speculation) }
        // In tier full the network and IPC namespaces stop the same without Landlock's help.
        if tier == .reduced, landlockVersion < 6 { risks.append(olderLandlock) }
        return risks
    }

    /// The risks that a backend's own policy and devices add.
    package static func added(by policy: SeccompPolicy, devices: [String]) -> [ResidualRisk] {
        var risks: [ResidualRisk] = []
        let declared = policy.rules.flatMap(\.declaredRisks)
        if !declared.isEmpty {
            risks.append(
                ResidualRisk(
                    name: "policy-\(policy.name)", exposure: declared.joined(separator: "; "),
                    remedy: "use a stricter policy if the backend runs with it: hearth policy learn"))
        }
        if !devices.isEmpty {
            risks.append(
                ResidualRisk(
                    name: "devices",
                    exposure: "it uses \(devices.joined(separator: ", ")), whose drivers are part of the kernel",
                    remedy: "take the devices out of its manifest, or out of the owner's setting 'devices'"))
        }
        return risks
    }

    private static let sharedKernel = ResidualRisk(
        name: "shared-kernel",
        exposure: "the system calls that its policy allows reach this machine's kernel, and a flaw there is open to it",
        remedy: "keep the kernel up to date, and use the strictest policy that the backend runs with")

    private static let limitsPerProcess = ResidualRisk(
        name: "limits-without-cgroup",
        exposure: "its memory is limited per process only, and its processor time not at all",
        remedy: "start hearth where a cgroup v2 is delegated to it, as the systemd units of the installation do "
            + "(Delegate=yes)")

    private static let speculation = ResidualRisk(
        name: "processor-speculation",
        exposure:
            "this kernel and processor let no process forbid itself speculation, by which it might infer what other "
            + "programs on the same core hold",
        remedy: "none in software where the processor is not affected; otherwise a kernel with spec_ctrl and current "
            + "microcode")

    private static let olderLandlock = ResidualRisk(
        name: "landlock-without-scopes",
        exposure:
            "this kernel's Landlock does not restrict signals and abstract Unix sockets, so that the filter alone "
            + "does",
        remedy: "Linux 6.12 or later")

    /// The risks of tier reduced, which has no namespaces.
    private static let reduced = [
        ResidualRisk(
            name: "path-existence",
            exposure: "it can learn whether a path exists, its size and its times, but not what is in it",
            remedy: tierFull),
        ResidualRisk(
            name: "shared-process-numbers",
            exposure: "it sees its own process number and the machine's name and kernel version",
            remedy: tierFull),
        ResidualRisk(
            name: "fewer-layers",
            exposure:
                "files are kept from it by Landlock and the filter, network and other processes by the filter and "
                + "what Landlock knows of them, with no namespace behind these",
            remedy: tierFull),
        ResidualRisk(
            name: "threads-unlimited",
            exposure: "the number of its threads is not limited, because its owner's other processes would count",
            remedy: tierFull),
    ]

    private static let tierFull =
        "let hearth-sandbox make user namespaces ('hearth doctor' says what keeps it from that), and ask for tier full"
}

extension SeccompPolicy.Rule {
    /// The texts after each "Risk:" in its comment, up to the next one: risks that the policy's author accepts.
    package var declaredRisks: [String] {
        guard let comment else { return [] }
        return comment.components(after: "Risk: ").map { String($0.last == " " ? $0.dropLast() : $0) }
    }
}

extension String {
    /// The parts that follow each `mark`.
    fileprivate func components(after mark: String) -> [Substring] {
        var parts: [Substring] = []
        var rest = self[...]
        var isInPart = false
        while let range = rest.firstRange(of: mark) {
            if isInPart { parts.append(rest[..<range.lowerBound]) }
            isInPart = true
            rest = rest[range.upperBound...]
        }
        if isInPart { parts.append(rest) }
        return parts
    }
}
