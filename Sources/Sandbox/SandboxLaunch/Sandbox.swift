internal import Glibc
package import LaunchPlan
internal import LinuxSystem
package import SandboxPolicy
internal import StrictJSON

/// Starts backends in a sandbox: makes their plan, gives `hearth-sandbox` its descriptors, and keeps the other ends. A
/// plain value; any thread may use it.
package struct Sandbox: Sendable {
    /// The launcher's executable.
    package let launcherPath: String
    /// The folder of the seccomp policies.
    package let policiesDirectory: String
    /// The tier that the owner asked for. On a machine that does not have it nothing starts.
    package let tier: SandboxTier
    /// What the machine offers beyond the tier.
    package let host: SandboxHost

    /// The launcher's own environment: without it, Swift's runtime would search for its backtracer in a dozen places
    /// before the launch begins.
    private static let environment = ["SWIFT_BACKTRACE=enable=no,swift-backtrace=/none"]

    /// Set only to measure what a layer stops, with a launcher that accepts any subset of the layers.
    package var laidOpen: LaidOpen?

    /// What a launch gives to the launcher on purpose although layers should withhold it from the backend.
    package struct LaidOpen: Sendable {
        package var environment: [String]
        package var descriptors: [CInt]
        /// Layers of the tier that its plans lack.
        package var without: SandboxLayers

        package init(environment: [String] = [], descriptors: [CInt] = [], without: SandboxLayers = []) {
            self.environment = environment
            self.descriptors = descriptors
            self.without = without
        }
    }

    /// A backend's standard streams.
    package enum StandardStreams: Sendable {
        /// Input is the backend's script, or else empty; both outputs are `SandboxedProcess.log`.
        case logged
        /// These descriptors, borrowed for the launch.
        case given(input: CInt, output: CInt, error: CInt)
    }

    package init(launcherPath: String, policiesDirectory: String, tier: SandboxTier, host: SandboxHost) {
        self.launcherPath = launcherPath
        self.policiesDirectory = policiesDirectory
        self.tier = tier
        self.host = host
    }

    /// The plan for one process of a backend: reads and compiles the policy that its manifest asks for, or takes another.
    package func plan(
        executable: borrowing BackendExecutable, manifest: BackendManifest, owner: OwnerLimits,
        policy: SeccompPolicy? = nil, weightBytes: UInt64 = 0
    ) throws(SandboxError) -> LaunchPlan {
        do throws(SandboxPolicyError) {
            let asked =
                if let policy { policy } else { try SeccompPolicy.named(manifest.policy, in: policiesDirectory) }
            let filter = try asked.compile()
            var plan = try LaunchPlanner.plan(
                name: executable.name, manifest: manifest, owner: owner, tier: tier, layers: host.layers(of: tier),
                filter: filter, weightBytes: weightBytes)
            if let laidOpen { plan.layers.subtract(laidOpen.without) }
            if tier == .full, plan.binds.contains(where: { $0.target == "/usr" }) {
                plan.links = MergedUsr.links.filter { link in
                    !plan.binds.contains { ($0.target + "/").hasPrefix("/\(link.name)/") }
                }
            }
            return plan
        } catch {
            throw SandboxError(.policyRefused, "\(error)", isTransient: error.isTransient)
        }
    }

    /// Starts the launcher and returns at once; `KeeperReport.started` then shows that the backend runs, or
    /// `KeeperReport.failed` that it could not start. `handOver` is borrowed for the call; the backend has these from
    /// descriptor `GivenDescriptor.firstHandedOn` on, in this order. `groupLimits` apply if the plan has the layer
    /// `controlGroup`.
    package func launch(
        executable: borrowing BackendExecutable, plan: LaunchPlan, handOver: [CInt] = [],
        groupLimits: ControlGroupLimits? = nil, streams: StandardStreams = .logged
    ) throws(SandboxError) -> SandboxedProcess {
        if let loader = executable.loader, !plan.shows(loader) {
            throw SandboxError(
                .executableRefused,
                "\(executable.path) needs the dynamic loader \(loader), which the sandbox does not show; "
                    + "link it statically (Swift: -static-executable, C and C++: -static), or show the folders of its "
                    + "loader and libraries under a policy that lets files be mapped as code, such as python")
        }
        var plan = plan
        try resolve(&plan.binds, of: executable.name)
        plan.handedOnCount = UInt32(clamping: handOver.count)
        let encoded: [UInt8]
        do throws(RecordError) {
            encoded = try plan.encoded(anyLayers: laidOpen != nil)
        } catch {
            throw SandboxError(.policyRefused, "\(executable.name): \(error)")
        }
        let trusted = try trustedLauncher()
        do throws(LinuxError) {
            var group: ControlGroup?
            if plan.layers.contains(.controlGroup), let groups = host.controlGroups, let groupLimits {
                group = try groups.makeGroup(groupLimits)
            }
            return try start(trusted, executable, encodedPlan: encoded, handOver: handOver, group, streams)
        } catch {
            throw SandboxError(.launchFailed, "\(executable.name): \(error)")
        }
    }

    /// Resolves the paths that the owner lets backends read, as their links are now, and checks that the binds lie
    /// within them. The launcher follows no other link to them.
    private func resolve(_ binds: inout [ReadOnlyBind], of name: String) throws(SandboxError) {
        do throws(TrustError) {
            for index in binds.indices {
                let bind = binds[index]
                _ = try PlaceWithin(root: bind.root, within: bind.within).open().facts
                binds[index].root = try PathTrust.open(bind.root, .readable).path
            }
        } catch {
            throw SandboxError(
                .policyRefused, "\(name) asks to read what cannot be shown to it: \(error)",
                isTransient: error.isTransient)
        }
    }

    /// The launcher's own file, which only root and this user may be able to change or replace.
    private func trustedLauncher() throws(SandboxError) -> String {
        do throws(TrustError) {
            return try PathTrust.open(launcherPath, .launcher).path
        } catch {
            // The launcher may be absent for a moment while a newer one is installed.
            throw SandboxError(
                .executableRefused, "the launcher \(error)", isTransient: error.isTransient || error.isAbsence)
        }
    }

    private func start(
        _ launcherPath: String, _ executable: borrowing BackendExecutable, encodedPlan: [UInt8], handOver: [CInt],
        _ group: ControlGroup?, _ streams: StandardStreams
    ) throws(LinuxError) -> SandboxedProcess {
        let planFile = try Descriptor.memoryFile("plan")
        try planFile.writeAll(encodedPlan)
        try planFile.seal()
        let sockets = try Descriptor.socketPair()
        let log = try Descriptor.pipe()
        let keeper = try Socket.datagramPair()
        // Without a group the launcher does not use this descriptor; if its plan demands a group, it fails at
        // /dev/null.
        let groupFolder = try Descriptor.open(group?.path ?? "/dev/null", O_RDONLY)
        for end in [sockets.first.raw, log.first.raw] { try Descriptor.setNonblocking(end) }
        // Opened anew, so that it is read from its beginning, and cannot be written.
        let input = try Descriptor.open("/proc/self/fd/\(executable.input.raw)", O_RDONLY)
        let standard =
            switch streams {
            case .logged: [input.raw, log.second.raw, log.second.raw]
            case .given(let input, let output, let error): [input, output, error]
            }
        // The order is that of `GivenDescriptor`.
        let descriptors =
            standard
            + [
                sockets.second.raw, keeper.second.raw, planFile.raw, executable.memory.raw, groupFolder.raw,
            ]
            + handOver + (laidOpen?.descriptors ?? [])
        let processID = try ProcessSpawn.spawn(
            launcherPath, arguments: ["hearth-sandbox"],
            environment: Sandbox.environment + (laidOpen?.environment ?? []),
            descriptors: descriptors)
        let process = try ProcessHandle(child: processID)
        return SandboxedProcess(
            process: process, socket: sockets.takeFirst(), log: log.takeFirst(), keeper: keeper.takeFirst(),
            group: group)
    }
}

extension LaunchPlan {
    /// Whether the backend sees the file at `path` and may execute it.
    fileprivate func shows(_ path: String) -> Bool {
        guard var parts = ReadOnlyBind.components(of: path) else { return false }
        if let link = links.first(where: { $0.name == parts[0] }) {
            parts = (ReadOnlyBind.components(of: "/" + link.target) ?? []) + parts.dropFirst()
        }
        return binds.contains { bind in
            bind.allowsExecution && parts.starts(with: ReadOnlyBind.components(of: bind.target) ?? parts + ["?"])
        }
    }
}

/// The links that a system with a merged /usr has at the old names of its folders (file-hierarchy(7)).
private enum MergedUsr {
    /// The links that this machine has.
    static let links: [RootLink] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"].compactMap { name in
        guard let target = FolderNames.linkTarget("/" + name), target.hasPrefix("usr/") else { return nil }
        return RootLink(name: name, target: target)
    }
}
