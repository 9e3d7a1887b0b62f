package import LinuxSystem

/// What the launcher does to itself before it becomes a backend: made by the agent, read by `hearth-sandbox`; nothing
/// in it is the backend's choice. `encoded()` and `init(decoding:)` carry it through a sealed memory file.
package struct LaunchPlan: Equatable, Sendable {
    /// `argv` of the backend; the first is its name.
    package var arguments: [String]
    /// `NAME=value`; the backend sees these and nothing else.
    package var environment: [String] = []
    package var tier: SandboxTier
    /// Every layer that is demanded; one that cannot be applied ends the launch.
    package var layers: SandboxLayers
    /// What appears, read-only, in the otherwise empty root.
    package var binds: [ReadOnlyBind] = []
    /// Devices below /dev that the backend may read, write and control, at the same paths.
    package var devices: [String] = []
    /// Symbolic links at the top of the root, by which merged systems reach what is bound at `/usr`.
    package var links: [RootLink] = []
    /// The size of a writable `/tmp` that runs nothing; 0: there is none.
    package var temporaryBytes: UInt64 = 0
    package var limits: [ResourceLimit] = []
    /// The seccomp filter as the kernel takes it: instructions of 8 bytes (seccomp(2)).
    package var filter: [UInt8]
    /// Who the backend is in its own user namespace; never 0.
    package var userID: UInt32 = 1000
    package var groupID: UInt32 = 1000
    /// By what the kinds of supervised calls are told apart; for calls that are not listed, by the number alone.
    package var tellingArguments: [TellingArguments] = []
    /// How many descriptors are handed on to the backend, from `LaunchDescriptor.firstHandedOn`.
    package var handedOnCount: UInt32 = 0

    package init(arguments: [String], tier: SandboxTier, filter: [UInt8]) {
        self.arguments = arguments
        self.tier = tier
        self.layers = tier.layers
        self.filter = filter
    }
}

/// A file or folder of the machine that a backend may read.
package struct ReadOnlyBind: Hashable, Sendable {
    /// An absolute path outside; it must exist when the backend starts.
    package var source: String
    /// The part of it that the owner named, as an absolute path without links: what is shown lies within.
    package var root: String
    /// The rest of it, looked up within that part; empty: the part itself.
    package var within: String
    /// An absolute path inside.
    package var target: String
    /// Whether files in it may be executed or mapped as code; otherwise it is mounted noexec.
    package var allowsExecution: Bool

    package init(
        source: String, root: String? = nil, within: String = "", target: String, allowsExecution: Bool = false
    ) {
        self.source = source
        self.root = root ?? source
        self.within = within
        self.target = target
        self.allowsExecution = allowsExecution
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

/// One limit of setrlimit(2), soft and hard alike.
package struct ResourceLimit: Hashable, Sendable {
    package var resource: Resource
    package var value: UInt64

    package init(_ resource: Resource, _ value: UInt64) {
        self.resource = resource
        self.value = value
    }

    /// The numbers of asm-generic/resource.h, which x86-64 and arm64 share.
    package enum Resource: UInt32, CaseIterable, Sendable {
        case cpuSeconds = 0
        case fileBytes = 1
        case dataBytes = 2
        case stackBytes = 3
        case coreBytes = 4
        case processes = 6
        case descriptors = 7
        case lockedBytes = 8
        case addressSpaceBytes = 9
        case fileLocks = 10
        case pendingSignals = 11
        case messageQueueBytes = 12
        case niceness = 13
        case realtimePriority = 14
        case realtimeMicroseconds = 15
    }
}

/// Where the launcher finds what the agent gives it. The backend keeps 0 to 3 and the handed-on ones, no other.
package enum LaunchDescriptor {
    /// The backend's end of the socket to the agent.
    package static let socket: CInt = 3
    /// The keeper's end of a socket of datagrams whose other end only the agent has: `KeeperReport` one way,
    /// `KeeperCommand` the other. Its end says that the agent has died.
    package static let keeper: CInt = 4
    /// The encoded plan in a sealed memory file.
    package static let plan: CInt = 5
    /// The backend's executable in a sealed memory file.
    package static let executable: CInt = 6
    /// The folder of the control group of launcher and backend; something else where the plan has no layer
    /// `controlGroup`.
    package static let controlGroup: CInt = 7
    /// The group in it that is the backend's alone, so that it can be frozen and its keeper goes on.
    package static let backendGroup = "backend"
    /// AT_EMPTY_PATH: the launcher executes the descriptor itself (execveat(2)); the filter lets exactly this pass.
    package static let executionFlags: CInt = 0x1000
    /// The first descriptor that is handed on at the same number, such as the weights of a model.
    package static let firstHandedOn: CInt = 8
}

/// How the launcher's exit status reads to people; any other status is the backend's own. A backend can exit with each of
/// these too, so the agent goes by `KeeperReport` alone.
package enum LaunchStatus {
    /// The agent died, and the backend was killed with it.
    package static let agentLost: CInt = 124
    /// The launcher could not do its work; one line on standard error and `KeeperReport.failed` say why.
    package static let failed: CInt = 125
    /// A backend that a signal ended is reported as this plus the signal's number.
    package static let signalBase: CInt = 128

    /// For a program that ended so.
    package static func of(_ status: ExitStatus) -> CInt {
        switch status {
        case .exited(let code): code
        case .signalled(let signal): signalBase + signal
        }
    }
}

/// The bounds of a plan, checked when it is encoded and when it is read.
package enum LaunchPlanLimits {
    package static let planBytesMax = 1 << 20
    package static let stringBytesMax = 4096
    package static let listCountMax = 256
    /// Kinds of supervised calls that are told apart for one backend; beyond it only their number is counted.
    package static let callKindsMax = 256
    /// The parts of a bind's path.
    package static let nestingMax = 32
    package static let handedOnCountMax: UInt32 = 16
}
