/// The layers of the sandbox, each of which alone stops a class of escapes.
package struct SandboxLayers: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let cleanDescriptors = SandboxLayers(rawValue: 1 << 0)
    package static let cleanEnvironment = SandboxLayers(rawValue: 1 << 1)
    package static let lifeline = SandboxLayers(rawValue: 1 << 2)
    package static let noNewPrivileges = SandboxLayers(rawValue: 1 << 3)
    package static let userNamespace = SandboxLayers(rawValue: 1 << 4)
    package static let processNamespace = SandboxLayers(rawValue: 1 << 5)
    package static let mountNamespace = SandboxLayers(rawValue: 1 << 6)
    package static let networkNamespace = SandboxLayers(rawValue: 1 << 7)
    package static let ipcNamespace = SandboxLayers(rawValue: 1 << 8)
    package static let hostNameNamespace = SandboxLayers(rawValue: 1 << 9)
    package static let cgroupNamespace = SandboxLayers(rawValue: 1 << 10)
    package static let noNestedNamespaces = SandboxLayers(rawValue: 1 << 11)
    package static let emptyRoot = SandboxLayers(rawValue: 1 << 12)
    package static let noCapabilities = SandboxLayers(rawValue: 1 << 13)
    package static let landlock = SandboxLayers(rawValue: 1 << 14)
    package static let resourceLimits = SandboxLayers(rawValue: 1 << 15)
    package static let seccomp = SandboxLayers(rawValue: 1 << 16)
    package static let execOnce = SandboxLayers(rawValue: 1 << 17)
    package static let speculationControls = SandboxLayers(rawValue: 1 << 18)
    package static let controlGroup = SandboxLayers(rawValue: 1 << 19)

    package static let all = SandboxLayers(rawValue: (1 << 20) - 1)

    /// Layers that only some machines offer. The agent demands them, in any tier, if the machine has them; if not, it
    /// shows a residual risk.
    package static let hostDependent: SandboxLayers = [.speculationControls, .controlGroup]

    /// The namespaces that the launcher makes with one system call.
    package static let namespaces: SandboxLayers = [
        .userNamespace, .processNamespace, .mountNamespace, .networkNamespace, .ipcNamespace, .hostNameNamespace,
        .cgroupNamespace,
    ]

    /// The layers' names in the order of their bits.
    private static let nameTable = [
        "clean-descriptors", "clean-environment", "lifeline", "no-new-privileges", "user-namespace", "pid-namespace",
        "mount-namespace", "network-namespace", "ipc-namespace", "uts-namespace", "cgroup-namespace",
        "no-nested-namespaces", "empty-root", "no-capabilities", "landlock", "resource-limits", "seccomp", "exec-once",
        "speculation-controls", "cgroup-limits",
    ]

    /// The names of the layers, as status shows them.
    package var names: [String] {
        SandboxLayers.nameTable.enumerated().compactMap { rawValue & (1 << $0.offset) != 0 ? $0.element : nil }
    }
}
