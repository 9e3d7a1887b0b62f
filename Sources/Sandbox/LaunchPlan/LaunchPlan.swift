/// What the launcher applies before it executes a backend: made by the agent, read by `hearth-sandbox`; nothing in it
/// is the backend's choice. `encoded()` and `init(decoding:)` carry it through a sealed memory file.
package struct LaunchPlan: Equatable, Sendable {
    /// `argv` of the backend; the first is its name.
    package var arguments: [String]
    /// `NAME=value`; the backend sees these and nothing else.
    package var environment: [String] = []
    package var tier: SandboxTier
    /// The layers that are demanded; one that cannot be applied ends the launch.
    package var layers: SandboxLayers
    /// Files and folders that appear, read-only, in the otherwise empty root.
    package var binds: [ReadOnlyBind] = []
    /// Devices below /dev that the backend may read, write and control, at the same paths.
    package var devices: [String] = []
    /// Symbolic links at the top of the root, by which systems with a merged /usr reach files bound at `/usr`.
    package var links: [RootLink] = []
    /// The size of a writable `/tmp` that is mounted noexec; 0: there is none.
    package var temporaryBytes: UInt64 = 0
    package var limits: [ResourceLimit] = []
    /// The seccomp filter as the kernel takes it: instructions of 8 bytes (seccomp(2)).
    package var filter: [UInt8]
    /// The backend's user id in its own user namespace; never 0.
    package var userID: UInt32 = 1000
    package var groupID: UInt32 = 1000
    /// The arguments that tell kinds of supervised calls apart; calls that are not listed have one kind each.
    package var tellingArguments: [TellingArguments] = []
    /// How many descriptors are handed on to the backend, from `GivenDescriptor.firstHandedOn`.
    package var handedOnCount: UInt32 = 0

    package init(arguments: [String], tier: SandboxTier, filter: [UInt8]) {
        self.arguments = arguments
        self.tier = tier
        self.layers = tier.layers
        self.filter = filter
    }
}

/// A symbolic link at the top of the root, such as `lib64` to `usr/lib64`.
package struct RootLink: Hashable, Sendable {
    /// One component.
    package var name: String
    /// Relative to the root.
    package var target: String

    package init(name: String, target: String) {
        self.name = name
        self.target = target
    }
}
