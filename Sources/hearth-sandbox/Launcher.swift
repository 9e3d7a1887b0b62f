internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// The order of a launch. Every step that fails ends it before the backend has run an instruction.
///
/// In tier full there are three processes: this one, outside the PID namespace, which the agent knows; its child, the
/// first process of the namespace, with which the kernel kills all others in it; and the backend, number 2. In tier
/// reduced the second is left out. Each waits for the next one and for the lifeline, and each dies with the one before
/// it, so that the agent's death reaches the backend whatever moment of the launch it hits.
struct Launcher {
    private let plan: LaunchPlan

    /// Reads the plan.
    init() throws(LaunchFailure) {
        guard !Namespaces.isMachineRoot() else {
            throw LaunchFailure("refuses to run as root: run the agent as an ordinary user, or as a service user")
        }
        plan = try Launcher.readPlan()
    }

    private static func readPlan() throws(LaunchFailure) -> LaunchPlan {
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
            return try LaunchPlan(decoding: bytes)
        } catch {
            throw LaunchFailure("launch plan: \(error)")
        }
    }

    /// Launches, waits for the backend's end, and returns the exit status that says how it ended (`LaunchStatus`).
    func run() throws(LaunchFailure) -> CInt {
        umask(0o077)
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            try ProcessFork.closeAll(from: LaunchDescriptor.firstHandedOn + CInt(plan.handedOnCount))
        }
        try layer(.noNewPrivileges) { () throws(LinuxError) in try Confinement.setNoNewPrivileges() }
        if plan.tier == .full { try enterNamespaces() }
        try dropCapabilities()
        try applyLandlock()
        return plan.tier == .full ? try runFirstProcess() : try runBackend()
    }

    private func enterNamespaces() throws(LaunchFailure) {
        let user = geteuid()
        let group = getegid()
        try layer(
            SandboxLayers.namespaces,
            remedy: "this system keeps ordinary users from making namespaces (a chroot, a container, AppArmor, or "
                + "user.max_user_namespaces); run hearth where they are allowed, or ask for tier 'reduced'"
        ) { () throws(LinuxError) in try Namespaces.unshareAll() }
        try layer(.userNamespace) { () throws(LinuxError) in
            try Namespaces.mapUser(
                outsideUser: user, outsideGroup: group, insideUser: plan.userID, insideGroup: plan.groupID)
        }
        try layer(.noNestedNamespaces) { () throws(LinuxError) in try Namespaces.forbidNesting() }
        try EmptyRoot(binds: plan.binds, temporaryBytes: plan.temporaryBytes).enter()
    }

    /// Tier reduced has no user namespace in which the bounding set could be emptied. An ordinary user's process has
    /// nothing to clear there; a container's root has, and no_new_privs keeps it from coming back.
    private func dropCapabilities() throws(LaunchFailure) {
        try layer(.noCapabilities) { () throws(LinuxError) in
            if plan.tier == .full { try Confinement.dropCapabilities() } else { try Confinement.clearCapabilities() }
            guard try !Confinement.hasCapabilities() else {
                throw LinuxError(code: EPERM, operation: "run with capabilities")
            }
        }
    }

    private func applyLandlock() throws(LaunchFailure) {
        try layer(.landlock) { () throws(LinuxError) in
            let rules = try LandlockRuleset()
            for bind in plan.binds {
                let opened = try Descriptor.open(bind.target, Descriptor.pathOnly)
                var rights: LandlockRuleset.Rights = bind.allowsExecution ? [.readFile, .execute] : .readFile
                if try FileStatus(of: opened, name: bind.target).isFolder { rights.insert(.readFolder) }
                try rules.allow(rights, on: opened)
            }
            if plan.temporaryBytes > 0 {
                try rules.allow(
                    [.readFile, .readFolder, .change], on: Descriptor.open(EmptyRoot.temporary, Descriptor.pathOnly))
            }
            try rules.restrictSelf()
        }
    }

    /// Tier full: forks the first process of the namespace, which runs the backend, and waits for it.
    private func runFirstProcess() throws(LaunchFailure) -> CInt {
        // Tells the child whether this process died before the child could ask to die with it; its number would not,
        // because a parent outside the namespace has none there.
        let launcher = try layer(.lifeline) { () throws(LinuxError) in try ProcessFork.handleOfSelf() }
        let watch = try layer(.lifeline) { () throws(LinuxError) in try ChildWatch() }
        let child = try layer(.processNamespace) { () throws(LinuxError) in try ProcessFork.fork() }
        if child == 0 {
            try layer(.lifeline) { () throws(LinuxError) in try Confinement.dieWithParent() }
            if ProcessFork.isReady(launcher.raw) { _exit(LaunchStatus.agentLost) }
            _exit(try runBackend())
        }
        return try waitForEnd(of: child, watch)
    }

    /// Forks the backend and waits for it.
    private func runBackend() throws(LaunchFailure) -> CInt {
        let parent = getpid()
        let watch = try layer(.lifeline) { () throws(LinuxError) in try ChildWatch() }
        let child = try layer(.resourceLimits) { () throws(LinuxError) in try ProcessFork.fork() }
        if child == 0 { try becomeBackend(parent: parent) }
        return try waitForEnd(of: child, watch)
    }

    /// Gives up everything but the lifeline and the way to complain, and waits for the child or the agent to end.
    private func waitForEnd(of child: CInt, _ watch: borrowing ChildWatch) throws(LaunchFailure) -> CInt {
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            // Above all the backend's socket: the agent is to see it close when the backend ends.
            try ProcessFork.closeAll(from: STDIN_FILENO, to: STDOUT_FILENO)
            try ProcessFork.closeAll(from: LaunchDescriptor.socket, to: LaunchDescriptor.socket)
            try ProcessFork.closeAll(from: LaunchDescriptor.lifeline + 1, to: watch.raw - 1)
            try ProcessFork.closeAll(from: watch.raw + 1)
            try Confinement.forbidTracing()
        }
        switch watch.wait(for: child, lifeline: LaunchDescriptor.lifeline) {
        case .exited(let status): return status
        case .signalled(let signal): return LaunchStatus.signalBase + signal
        case nil:
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
            return LaunchStatus.agentLost
        }
    }

    /// The last steps, in the process that will be the backend.
    private func becomeBackend(parent: CInt) throws(LaunchFailure) -> Never {
        if plan.tier == .reduced {
            try layer(.lifeline) { () throws(LinuxError) in try Confinement.dieWithParent() }
            if getppid() != parent { _exit(LaunchStatus.agentLost) }
        }
        try layer(.cleanDescriptors) { () throws(LinuxError) in
            try ProcessFork.startSession()
            try ProcessFork.unblockSignals()
            try ProcessFork.closeAll(from: LaunchDescriptor.lifeline, to: LaunchDescriptor.plan)
            try ProcessFork.closeAll(from: LaunchDescriptor.firstHandedOn + CInt(plan.handedOnCount))
            try ProcessFork.setCloseOnExec(LaunchDescriptor.executable)
        }
        try layer(.resourceLimits) { () throws(LinuxError) in
            for limit in plan.limits { try Confinement.setLimit(limit.resource.rawValue, limit.value) }
        }
        let error = ProcessFork.execute(
            LaunchDescriptor.executable, arguments: plan.arguments, environment: plan.environment, filter: plan.filter)
        throw LaunchFailure(
            error.code == ENOENT
                ? "\(error): its dynamic loader is not in the sandbox; link the backend statically" : error.description)
    }
}
