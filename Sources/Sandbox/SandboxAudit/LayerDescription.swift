package import LaunchPlan

/// The purpose of a layer, and its weight in the exposure.
package struct LayerDescription: Sendable {
    package let layer: SandboxLayers
    package var name: String { layer.names.first ?? "" }
    /// What the layer keeps a backend from, as the end of "a backend cannot ...".
    package let stops: String
    /// The weight of its absence, relative to the others'.
    package let weight: Double
    /// What makes it available, if the machine's findings say nothing more precise.
    package let remedy: String

    /// All layers in the order of a report: those that decide the tier come first.
    package static let all: [LayerDescription] = [
        .init(
            .seccomp, 3, "make system calls that its policy does not list",
            "use a kernel with CONFIG_SECCOMP_FILTER, as every distribution's has"),
        .init(
            .landlock, 2, "open files, TCP ports and signals, even with a namespace gone wrong",
            "use Linux 5.13 or later with landlock among lsm="),
        .init(.noNewPrivileges, 1, "gain rights through set-user-id programs", anyKernel),
        .init(.noCapabilities, 0.5, "use a capability, in any namespace", anyKernel),
        .init(.userNamespace, 1, "be the owner's user anywhere but on paper", namespaces),
        .init(.mountNamespace, 0.5, "see or change mounts of the machine", namespaces),
        .init(.emptyRoot, 1.5, "find any file, /proc, /sys or a device", namespaces),
        .init(.networkNamespace, 1.5, "reach any network, loopback too", namespaces),
        .init(.processNamespace, 1, "see, signal or outlive other processes", namespaces),
        .init(.ipcNamespace, 0.5, "reach shared memory and queues of other programs", namespaces),
        .init(.hostNameNamespace, 0.1, "learn the machine's name", namespaces),
        .init(.cgroupNamespace, 0.1, "learn its place among control groups", namespaces),
        .init(.noNestedNamespaces, 0.5, "make namespaces in which it has capabilities", namespaces),
        .init(.execOnce, 0.5, "become another program", anyKernel),
        .init(.resourceLimits, 0.7, "take memory, descriptors or disk without end, in one process", anyKernel),
        .init(
            .controlGroup, 0.4, "take more memory, processor time and threads than its share",
            "start the agent by the systemd unit of the installation, which has Delegate=yes"),
        .init(
            .speculationControls, 0.2, "have the processor speculate for it across programs",
            "install current microcode and a kernel with spec_ctrl, where the processor is affected"),
        .init(.cleanDescriptors, 1, "use a descriptor that the agent has open", anyKernel),
        .init(.cleanEnvironment, 0.5, "read the agent's environment", anyKernel),
        .init(.lifeline, 0.5, "outlive the agent", anyKernel),
    ]

    private static let anyKernel = "use Linux 5.13 or later"
    private static let namespaces =
        "run Hearth where ordinary users may make user namespaces, or ask for tier reduced by name (--tier reduced)"

    private init(_ layer: SandboxLayers, _ weight: Double, _ stops: String, _ remedy: String) {
        self.layer = layer
        self.weight = weight
        self.stops = stops
        self.remedy = remedy
    }

    /// How exposed the machine is to a backend that is held by these layers: from 0, by all of them, to 10, by none.
    package static func exposure(heldBy layers: SandboxLayers) -> Double {
        let sum = all.reduce(0) { $0 + $1.weight }
        let missing = all.filter { !layers.contains($0.layer) }.reduce(0) { $0 + $1.weight }
        return (missing / sum * 100).rounded() / 10
    }

    /// A word for it, as `systemd-analyze security` has one.
    package static func word(forExposure exposure: Double) -> String {
        switch exposure {
        case ..<1: "held"
        case ..<3: "well held"
        case ..<6: "partly held"
        case ..<9: "exposed"
        default: "open"
        }
    }
}
