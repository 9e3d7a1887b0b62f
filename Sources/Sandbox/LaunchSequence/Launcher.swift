internal import Glibc
package import LaunchPlan
internal import LinuxSystem
internal import SeccompFilter

/// Launches a backend, step by step. A step that fails ends the launch before the backend has run an instruction.
///
/// In tier full there are three processes: this one, outside the PID namespace, which is the agent's child; its child,
/// the first process of the namespace, with whose end the kernel kills all others in it; and the backend, process 2.
/// Tier reduced leaves out the second. Each waits for the next one and for the end of the agent's socket, the lifeline,
/// and each dies with the one before it, so that the agent's death reaches the backend at whatever moment of the launch
/// it comes. The process that waits for the backend is its keeper (`Keeper`).
package struct Launcher {
    private let plan: LaunchPlan
    private let filter: FilterProgram

    /// Reads the plan from `GivenDescriptor.plan`.
    /// - Parameter anyLayers: whether a plan may have fewer layers than its tier; only to measure what a layer stops.
    package init(anyLayers: Bool = false) throws(LaunchFailure) {
        guard !Namespaces.isMachineRoot() else {
            throw LaunchFailure("refuses to run as root: run the agent as an ordinary user, or as a service user")
        }
        let bytes = try layer(.cleanDescriptors, remedy: "only hearth starts this program") {
            () throws(LinuxError) in
            for descriptor in [GivenDescriptor.plan, GivenDescriptor.executable] {
                guard try Descriptor.isSealed(descriptor) else {
                    throw LinuxError(code: EPERM, operation: "trust descriptor \(descriptor), which is not sealed")
                }
            }
            let file = Descriptor(owning: GivenDescriptor.plan)
            try file.rewind()
            return try FileBytes.read(file, max: LaunchPlan.Bounds.planBytesMax, name: "the launch plan")
        }
        do throws(RecordError) {
            plan = try LaunchPlan(decoding: bytes, anyLayers: anyLayers)
        } catch {
            throw LaunchFailure("launch plan: \(error)")
        }
        do throws(FilterError) {
            filter = try plan.layers.contains(.seccomp) ? FilterProgram(plan.filter) : .executionSupervised
        } catch {
            throw LaunchFailure("launch plan: \(error)")
        }
    }

    private func has(_ layer: SandboxLayers) -> Bool { plan.layers.contains(layer) }

    /// Whether a filter is loaded: the plan's, or the one that only supervises exec.
    private var isSupervised: Bool { has(.seccomp) || has(.execOnce) }

    /// Launches, waits for the backend's end, and returns the exit status that says how it ended (`LauncherStatus`).
    package func run() throws(LaunchFailure) -> CInt {
        umask(0o077)
        if has(.cleanDescriptors) {
            try layer(.cleanDescriptors) { () throws(LinuxError) in try ProcessFork.closeAll(from: firstOfNobody) }
        }
        let group = has(.controlGroup) ? try enterControlGroup() : nil
        if has(.noNewPrivileges) {
            try layer(.noNewPrivileges) { () throws(LinuxError) in try Confinement.setNoNewPrivileges() }
        }
        if has(.speculationControls) {
            try layer(.speculationControls) { () throws(LinuxError) in try SpeculationControls.forbid() }
        }
        try enterNamespaces()
        if has(.noCapabilities) { try dropCapabilities() }
        if has(.landlock) { try applyLandlock() }
        return has(.processNamespace) ? try runFirstProcess(group) : try runBackend(group)
    }

    /// The first descriptor number that is not in use.
    private var firstOfNobody: CInt { GivenDescriptor.firstHandedOn + CInt(plan.handedOnCount) }

    /// Moves this process, and with it all that it forks, into the group whose limits the agent has set. Returns the
    /// group below it for the backend alone.
    private func enterControlGroup() throws(LaunchFailure) -> BackendGroup {
        try layer(.controlGroup, remedy: "the agent's control group was taken from it; restart the agent") {
            () throws(LinuxError) in
            let folder = Descriptor(owning: GivenDescriptor.controlGroup)
            // 0 is the process that writes (cgroups(7)).
            try folder.openBelow("cgroup.procs", O_WRONLY).writeAll(Array("0".utf8))
            return try BackendGroup(in: folder)
        }
    }

    private func enterNamespaces() throws(LaunchFailure) {
        let user = geteuid()
        let group = getegid()
        let wanted = plan.layers.intersection(.namespaces)
        guard !wanted.isEmpty else { return }
        try layer(
            wanted,
            remedy: "this system keeps ordinary users from making namespaces (a chroot, a container, AppArmor, or "
                + "user.max_user_namespaces); 'hearth doctor' says which; run hearth where they are allowed, or ask for "
                + "tier 'reduced'"
        ) { () throws(LinuxError) in try Namespaces.unshare(Namespaces.Kinds(wanted)) }
        if has(.userNamespace) {
            try layer(.userNamespace) { () throws(LinuxError) in
                try Namespaces.mapUser(
                    outsideUser: user, outsideGroup: group, insideUser: plan.userID, insideGroup: plan.groupID)
            }
        }
        if has(.hostNameNamespace) {
            // A new UTS namespace has the machine's names until it is given others.
            try layer(.hostNameNamespace) { () throws(LinuxError) in try Namespaces.setHostName("backend") }
        }
        if has(.noNestedNamespaces) {
            try layer(.noNestedNamespaces) { () throws(LinuxError) in try Namespaces.forbidNesting() }
        }
        if has(.emptyRoot) {
            try EmptyRoot(
                binds: plan.binds, devices: plan.devices, links: plan.links, temporaryBytes: plan.temporaryBytes
            ).enter()
        }
    }

    /// Without a user namespace the bounding set cannot be emptied. An ordinary user's process has no capabilities to
    /// clear then; a container's root has some, and no_new_privs keeps it from regaining them.
    private func dropCapabilities() throws(LaunchFailure) {
        try layer(.noCapabilities) { () throws(LinuxError) in
            if has(.userNamespace) { try Confinement.dropCapabilities() } else { try Confinement.clearCapabilities() }
            guard try !Confinement.hasCapabilities() else {
                throw LinuxError(code: EPERM, operation: "run with capabilities")
            }
        }
    }

    private func applyLandlock() throws(LaunchFailure) {
        try layer(.landlock) { () throws(LinuxError) in
            let rules = try LandlockRuleset()
            for bind in plan.binds {
                let opened = has(.emptyRoot) ? try Descriptor.open(bind.target, Descriptor.pathOnly) : try bind.open()
                var rights: LandlockRuleset.Rights = bind.allowsExecution ? [.readFile, .execute] : .readFile
                if try FileFacts(of: opened, name: bind.target).kind == .folder { rights.insert(.readFolder) }
                try rules.allow(rights, on: opened)
            }
            for device in plan.devices {
                try rules.allow(
                    [.readFile, .writeFile, .deviceControl], on: Descriptor.open(device, Descriptor.pathOnly))
            }
            if plan.temporaryBytes > 0 {
                try rules.allow(
                    [.readFile, .readFolder, .change], on: Descriptor.open(EmptyRoot.temporary, Descriptor.pathOnly))
            }
            try rules.restrictSelf()
        }
    }

    /// Forks the first process of the PID namespace, which runs the backend, and waits for it.
    private func runFirstProcess(_ group: BackendGroup?) throws(LaunchFailure) -> CInt {
        // Shows the child whether this process died before the child could ask to die with it. The parent's process id
        // would not, because a parent outside the namespace has none there.
        let launcher = try layer(.lifeline) { () throws(LinuxError) in try ProcessFork.handleOfSelf() }
        let watch = try layer(.lifeline) { () throws(LinuxError) in try ChildWatch() }
        let child = try layer(.processNamespace) { () throws(LinuxError) in try ProcessFork.fork() }
        if child == 0 {
            if has(.lifeline) {
                try layer(.lifeline) { () throws(LinuxError) in try Confinement.dieWithParent() }
                if ProcessFork.isReady(launcher.raw) { _exit(LauncherStatus.agentLost) }
            }
            _exit(try runBackend(group))
        }
        try layer(.cleanDescriptors) { () throws(LinuxError) in try Launcher.keepOnly([watch.raw]) }
        while true {
            let ready = try layer(.lifeline) { () throws(LinuxError) in
                try Poll.waitForAny(of: [(AgentSocket.raw, []), (watch.raw, .readable)], nanoseconds: nil)
            }
            if !ready[0].isEmpty {
                kill(child, SIGKILL)
                waitpid(child, nil, 0)
                return LauncherStatus.agentLost
            }
            guard case .ended(let status, let use) = watch.look(at: child) else { continue }
            // A kill of the keeper has killed everything in the namespace with it, so this process reports the end.
            if case .signalled = status { AgentSocket.say(.ended(status, use)) }
            return LauncherStatus.of(status)
        }
    }

    /// Forks the backend, and keeps it.
    ///
    /// Until the backend executes, it and this process share their table of descriptors: so the notification
    /// descriptor, which the backend's process opens by loading the filter, gets here without a call that the filter
    /// would have to allow.
    private func runBackend(_ group: BackendGroup?) throws(LaunchFailure) -> CInt {
        let parent = getpid()
        let watch = try layer(.lifeline) { () throws(LinuxError) in try ChildWatch() }
        // Both ends are closed by number, or by the exec.
        let (execution, executing) = try layer(.lifeline) { () throws(LinuxError) in
            let pipe = try Descriptor.pipe()
            try pipe.first.setNonblocking(true)
            return pipe.take { ($0.release(), $1.release()) }
        }
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            for descriptor in GivenDescriptor.keeper..<GivenDescriptor.firstHandedOn {
                if SharedDescriptors.isOpen(descriptor) { try ProcessFork.setCloseOnExec(descriptor) }
            }
            if has(.cleanDescriptors) { try SharedDescriptors.setCloseOnExec(from: firstOfNobody) }
        }
        let listener = try layer(.seccomp) { () throws(LinuxError) in try SharedDescriptors.nextNumber() }
        let child = try layer(.resourceLimits) { () throws(LinuxError) in try SharedDescriptors.fork() }
        if child == 0 { becomeBackend(parent: parent, group, executing: executing) }
        try layer(.seccomp) { () throws(LinuxError) in try SharedDescriptors.setPunctualWaits() }
        var keeper = Keeper(
            child: child, watch: watch, execution: execution,
            // Without a PID namespace -1 would mean every process of this user; the backend leads a process group
            // instead.
            freezer: group.map { .group($0) } ?? .signal(to: has(.processNamespace) && getpid() == 1 ? -1 : -child))
        return try keeper.keep(isSupervised ? (listener, plan, filter) : nil)
    }

    /// Closes all descriptors that a process of the launcher does not need while it only waits. From here on processes
    /// of the same user cannot trace it.
    static func keepOnly(_ kept: [CInt]) throws(LinuxError) {
        var next: CInt = 0
        for descriptor in ([STDERR_FILENO, AgentSocket.raw] + kept).sorted() {
            try ProcessFork.closeAll(from: next, to: descriptor - 1)
            next = descriptor + 1
        }
        try ProcessFork.closeAll(from: next)
        try Confinement.forbidTracing()
    }

    /// Runs in the process that will be the backend. It opens and closes nothing, because until the exec its
    /// descriptors are its parent's too.
    private func becomeBackend(parent: CInt, _ group: BackendGroup?, executing: CInt) -> Never {
        do throws(LaunchFailure) {
            try takeLastSteps(parent: parent, group)
        } catch {
            error.report(through: executing)
        }
    }

    private func takeLastSteps(parent: CInt, _ group: BackendGroup?) throws(LaunchFailure) -> Never {
        if has(.lifeline), !has(.processNamespace) {
            try layer(.lifeline) { () throws(LinuxError) in try Confinement.dieWithParent() }
            if getppid() != parent { _exit(LauncherStatus.agentLost) }
        }
        if let group { try layer(.controlGroup) { () throws(LinuxError) in try group.enter() } }
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            try ProcessFork.startSession()
            try ProcessFork.unblockSignals()
        }
        if has(.resourceLimits) {
            try layer(.resourceLimits) { () throws(LinuxError) in
                for limit in plan.limits { try Confinement.setLimit(limit.resource.rawValue, limit.value) }
            }
        }
        let error = ProcessFork.execute(
            GivenDescriptor.executable, arguments: plan.arguments,
            environment: plan.environment + (has(.cleanEnvironment) ? [] : ProcessFork.inheritedEnvironment),
            supervisedFilter: isSupervised ? filter.supervised.bytes : nil)
        throw LaunchFailure(
            error.code == ENOENT
                ? "\(error): its dynamic loader is not in the sandbox; link the backend statically" : error.description,
            isTransient: error.isTransient)
    }
}

extension Namespaces.Kinds {
    fileprivate init(_ layers: SandboxLayers) {
        let table: [(SandboxLayers, Namespaces.Kinds)] = [
            (.userNamespace, .user), (.processNamespace, .process), (.mountNamespace, .mount),
            (.networkNamespace, .network), (.ipcNamespace, .ipc), (.hostNameNamespace, .hostName),
            (.cgroupNamespace, .cgroup),
        ]
        self = Namespaces.Kinds(table.filter { layers.contains($0.0) }.map(\.1))
    }
}
