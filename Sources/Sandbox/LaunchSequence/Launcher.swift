internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SeccompFilter

/// The order of a launch. Every step that fails ends it before the backend has run an instruction.
///
/// In tier full there are three processes: this one, outside the PID namespace, which the agent knows; its child, the
/// first process of the namespace, with which the kernel kills all others in it; and the backend, number 2. In tier
/// reduced the second is left out. Each waits for the next one and for the lifeline, and each dies with the one before
/// it, so that the agent's death reaches the backend whatever moment of the launch it hits. The one that waits for the
/// backend also supervises its system calls (`CallSupervision`).
package struct Launcher {
    /// How long the backend's parent waits between looks for the supervisor's end, which appears as the filter is loaded.
    private static let lookNanoseconds: Int64 = 10_000

    private let plan: LaunchPlan
    private let filter: FilterProgram

    /// Reads the plan from `LaunchDescriptor.plan`.
    /// - Parameter anyLayers: whether a plan may have fewer layers than its tier; only to measure what a layer stops.
    package init(anyLayers: Bool = false) throws(LaunchFailure) {
        guard !Namespaces.isMachineRoot() else {
            throw LaunchFailure("refuses to run as root: run the agent as an ordinary user, or as a service user")
        }
        let bytes = try layer(.cleanDescriptors, remedy: "only hearth starts this program") {
            () throws(LinuxError) in
            for descriptor in [LaunchDescriptor.plan, LaunchDescriptor.executable] {
                guard try Descriptor.isSealed(descriptor) else {
                    throw LinuxError(code: EPERM, operation: "trust descriptor \(descriptor), which is not sealed")
                }
            }
            let file = Descriptor(owning: LaunchDescriptor.plan)
            try file.rewind()
            return try FileBytes.read(file, max: LaunchPlanLimits.planBytesMax, name: "the launch plan")
        }
        do throws(LaunchPlanError) {
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

    /// Whether a filter is loaded: the plan's, or the one that only knows about exec.
    private var isSupervised: Bool { has(.seccomp) || has(.execOnce) }

    /// Launches, waits for the backend's end, and returns the exit status that says how it ended (`LaunchStatus`).
    package func run() throws(LaunchFailure) -> CInt {
        umask(0o077)
        if has(.cleanDescriptors) {
            try layer(.cleanDescriptors) { () throws(LinuxError) in try ProcessFork.closeAll(from: firstOfNobody) }
        }
        if has(.controlGroup) { try enterControlGroup() }
        if has(.noNewPrivileges) {
            try layer(.noNewPrivileges) { () throws(LinuxError) in try Confinement.setNoNewPrivileges() }
        }
        if has(.speculationControls) {
            try layer(.speculationControls) { () throws(LinuxError) in try SpeculationControls.forbid() }
        }
        try enterNamespaces()
        if has(.noCapabilities) { try dropCapabilities() }
        if has(.landlock) { try applyLandlock() }
        return has(.processNamespace) ? try runFirstProcess() : try runBackend()
    }

    /// The first descriptor that is nobody's.
    private var firstOfNobody: CInt { LaunchDescriptor.firstHandedOn + CInt(plan.handedOnCount) }

    /// Moves this process, and with it all that it forks, into the group whose limits the agent has set.
    private func enterControlGroup() throws(LaunchFailure) {
        try layer(.controlGroup, remedy: "the agent's control group was taken from it; restart the agent") {
            () throws(LinuxError) in
            let processes = Descriptor(owning: LaunchDescriptor.controlGroup)
            // 0: the one who writes (cgroups(7)).
            try processes.writeAll(Array("0".utf8))
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
            // A new one has the machine's names until it is given others.
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

    /// Without a user namespace there is none in which the bounding set could be emptied. An ordinary user's process has
    /// nothing to clear there; a container's root has, and no_new_privs keeps it from coming back.
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
    private func runFirstProcess() throws(LaunchFailure) -> CInt {
        // Tells the child whether this process died before the child could ask to die with it; its number would not,
        // because a parent outside the namespace has none there.
        let launcher = try layer(.lifeline) { () throws(LinuxError) in try ProcessFork.handleOfSelf() }
        let watch = try layer(.lifeline) { () throws(LinuxError) in try ChildWatch() }
        let child = try layer(.processNamespace) { () throws(LinuxError) in try ProcessFork.fork() }
        if child == 0 {
            if has(.lifeline) {
                try layer(.lifeline) { () throws(LinuxError) in try Confinement.dieWithParent() }
                if ProcessFork.isReady(launcher.raw) { _exit(LaunchStatus.agentLost) }
            }
            _exit(try runBackend())
        }
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            try keepOnly([STDERR_FILENO, LaunchDescriptor.lifeline, LaunchDescriptor.report, watch.raw])
        }
        switch try next(watch, child) {
        case .ended(let status): return Launcher.status(of: status)
        default: return end(child)
        }
    }

    /// Forks the backend, supervises it, and waits for it.
    ///
    /// Until the backend executes, it and this process have their descriptors in common: that is how the supervisor's end
    /// of the filter, which the backend's process opens by loading the filter, gets here without a call that the filter
    /// would have to allow.
    private func runBackend() throws(LaunchFailure) -> CInt {
        let parent = getpid()
        let watch = try layer(.lifeline) { () throws(LinuxError) in try ChildWatch() }
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            for descriptor in LaunchDescriptor.lifeline..<LaunchDescriptor.firstHandedOn {
                if SharedDescriptors.isOpen(descriptor) { try ProcessFork.setCloseOnExec(descriptor) }
            }
            if has(.cleanDescriptors) { try SharedDescriptors.setCloseOnExec(from: firstOfNobody) }
        }
        let listener = try layer(.seccomp) { () throws(LinuxError) in try SharedDescriptors.nextNumber() }
        let child = try layer(.resourceLimits) { () throws(LinuxError) in try SharedDescriptors.fork() }
        if child == 0 { try becomeBackend(parent: parent) }
        try layer(.seccomp) { () throws(LinuxError) in try SharedDescriptors.setPunctualWaits() }
        guard isSupervised else {
            try layer(.cleanDescriptors) { () throws(LinuxError) in
                try leaveDescriptors(keeping: [watch.raw])
            }
            return try supervise(child, watch, listener: nil)
        }
        return try supervise(child, watch, listener: listener)
    }

    /// - Parameter listener: the number at which the supervisor's end will appear.
    private func supervise(
        _ child: CInt, _ watch: borrowing ChildWatch, listener: CInt?
    ) throws(LaunchFailure) -> CInt {
        while let listener, !SharedDescriptors.isOpen(listener) {
            switch try next(watch, child, nanoseconds: Launcher.lookNanoseconds) {
            case .ended(let status): return Launcher.status(of: status)
            case .lifelineLost: return end(child)
            default: continue
            }
        }
        guard let listener else {
            let event = try next(watch, child)
            if case .ended(let status) = event { return Launcher.status(of: status) }
            return end(child)
        }
        var calls = CallSupervision(listener: listener, plan: plan, filter: filter)
        while true {
            do throws(LaunchFailure) {
                if let status = try superviseOnce(child, watch, &calls) { return status }
            } catch {
                throw calls.hasExecuted ? error.afterTheBeginning() : error
            }
        }
    }

    /// The exit status once there is one.
    private func superviseOnce(
        _ child: CInt, _ watch: borrowing ChildWatch, _ calls: inout CallSupervision
    ) throws(LaunchFailure) -> CInt? {
        let listener = calls.raw
        switch try next(watch, child, listener: listener, nanoseconds: calls.nanosecondsToReport) {
        case .ended(let status):
            calls.report()
            return Launcher.status(of: status)
        case .lifelineLost: return end(child)
        case .timeOver: calls.report()
        case .supervision:
            let kept = [watch.raw, listener]
            try layer(.seccomp) { () throws(LinuxError) in
                try calls.answer { () throws(LinuxError) in try leaveDescriptors(keeping: kept) }
            }
        }
        return nil
    }

    private func next(
        _ watch: borrowing ChildWatch, _ child: CInt, listener: CInt? = nil, nanoseconds: Int64? = nil
    ) throws(LaunchFailure) -> ChildWatch.Event {
        do throws(LinuxError) {
            return try watch.next(
                child: child, lifeline: LaunchDescriptor.lifeline, listener: listener, nanoseconds: nanoseconds)
        } catch {
            throw LaunchFailure(.lifeline, error)
        }
    }

    /// Stops sharing descriptors with the backend's process and keeps what supervising it takes. From here on nobody of
    /// the same user may trace this process.
    private func leaveDescriptors(keeping kept: [CInt]) throws(LinuxError) {
        try SharedDescriptors.unshare()
        // The agent is to see the backend's socket close when the backend ends.
        try keepOnly([STDERR_FILENO, LaunchDescriptor.lifeline, LaunchDescriptor.report] + kept)
    }

    private func keepOnly(_ kept: [CInt]) throws(LinuxError) {
        var next: CInt = 0
        for descriptor in kept.sorted() {
            try ProcessFork.closeAll(from: next, to: descriptor - 1)
            next = descriptor + 1
        }
        try ProcessFork.closeAll(from: next)
        try Confinement.forbidTracing()
    }

    private func end(_ child: CInt) -> CInt {
        kill(child, SIGKILL)
        waitpid(child, nil, 0)
        return LaunchStatus.agentLost
    }

    private static func status(of ended: ExitStatus) -> CInt {
        switch ended {
        case .exited(let status): status
        case .signalled(let signal): LaunchStatus.signalBase + signal
        }
    }

    /// The last steps, in the process that will be the backend. It opens and closes nothing: until the exec its
    /// descriptors are its parent's too.
    private func becomeBackend(parent: CInt) throws(LaunchFailure) -> Never {
        if has(.lifeline), !has(.processNamespace) {
            try layer(.lifeline) { () throws(LinuxError) in try Confinement.dieWithParent() }
            if getppid() != parent { _exit(LaunchStatus.agentLost) }
        }
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
            LaunchDescriptor.executable, arguments: plan.arguments,
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
