internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SeccompFilter

/// Stays with a backend from the fork of its process to its end: answers the calls that its filter passes to the
/// supervisor, reports the backend's state to the agent, and freezes and thaws it when the agent asks. `KeeperState`
/// decides.
struct Keeper: ~Copyable {
    /// How long it waits between checks for the notification descriptor, which appears when the filter is loaded.
    private static let lookNanoseconds: Int64 = 10_000

    private let child: CInt
    private let watch: ChildWatch
    /// A pipe that ends when the backend executes, or carries the report when that failed. Does not block.
    private let execution: CInt
    private let freezer: Freezer
    private var calls: CallSupervision?
    private var state = KeeperState()

    /// - Parameter execution: the end to read of a pipe that is closed by the exec of the child; this end is kept open by
    ///   number.
    init(child: CInt, watch: consuming ChildWatch, execution: CInt, freezer: Freezer) {
        self.child = child
        self.watch = watch
        self.execution = execution
        self.freezer = freezer
    }

    /// Waits for the backend's end, and returns the exit status that says how it ended (`LauncherStatus`).
    /// - Parameter supervised: the number at which the supervisor's end will appear, with what it is answered by; nil: no
    ///   filter is loaded, as only to measure what a layer stops.
    mutating func keep(_ supervised: (listener: CInt, plan: LaunchPlan, filter: FilterProgram)?) throws(LaunchFailure)
        -> CInt
    {
        do throws(LaunchFailure) {
            if let supervised {
                while !SharedDescriptors.isOpen(supervised.listener) {
                    if let status = try turn(nanoseconds: Keeper.lookNanoseconds) { return status }
                }
                calls = CallSupervision(
                    listener: supervised.listener, plan: supervised.plan, filter: supervised.filter)
            } else {
                try layer(.cleanDescriptors) { () throws(LinuxError) in try leaveDescriptors() }
            }
            while true {
                let nanoseconds = state.hasStarted ? calls?.nanosecondsToReport : nil
                if let status = try turn(nanoseconds: nanoseconds) { return status }
            }
        } catch {
            _ = end()
            throw error
        }
    }

    /// Waits for events and handles them; returns the exit status once there is one.
    private mutating func turn(nanoseconds: Int64?) throws(LaunchFailure) -> CInt? {
        let watched: [(descriptor: CInt, events: Readiness)] = [
            (AgentSocket.raw, state.hearsCommands ? .readable : []),
            (state.phase == .launching ? execution : -1, .readable),
            (watch.raw, .readable),
            (calls?.raw ?? -1, .readable),
            (state.phase == .freezing ? freezer.events : -1, .priority),
        ]
        let ready = try layer(.lifeline) { () throws(LinuxError) in
            try Poll.waitForAny(of: watched, nanoseconds: nanoseconds)
        }
        if ready[0].hasAny(of: AgentSocket.lost) { return end() }
        if !ready[1].isEmpty { try hearExecution() }
        if !ready[2].isEmpty, let change = watch.look(at: child), let status = try heed(change) { return status }
        if !ready[3].isEmpty { try answerCall() }
        if calls?.nanosecondsToReport == 0 { tellOfCalls() }
        if !ready[4].isEmpty { try lookAtGroup() }
        if !ready[0].isEmpty { try hearAgent() }
        return nil
    }

    private mutating func perform(_ actions: [KeeperState.Action]) throws(LaunchFailure) {
        for action in actions {
            switch action {
            case .say(let report): AgentSocket.say(report)
            case .stop:
                try frozen { () throws(LinuxError) in try freezer.stop() }
                try lookAtGroup()
            case .resume: try frozen { () throws(LinuxError) in try freezer.resume() }
            case .refuse(let why): throw LaunchFailure(why)
            }
        }
    }

    /// Handles a change of the child; returns the exit status once it has ended.
    private mutating func heed(_ change: ChildChange) throws(LaunchFailure) -> CInt? {
        switch change {
        case .ended(let status, let use):
            // The child may have executed and ended since the last check.
            try hearExecution()
            tellOfCalls()
            try perform(state.ended(status, use))
            return LauncherStatus.of(status)
        case .stopped: if case .signal = freezer { try perform(state.stopped()) }
        case .continued: if case .signal = freezer { try perform(state.continued()) }
        }
        return nil
    }

    private mutating func hearExecution() throws(LaunchFailure) {
        var bytes = [UInt8](repeating: 0, count: KeeperReport.byteCountMax)
        let count = read(execution, &bytes, bytes.count)
        if count == 0 { try perform(state.executed()) }
        guard count > 0 else { return }
        guard let why = try? KeeperReport(decoding: Array(bytes[..<count])) else {
            throw LaunchFailure("the backend's process did not say why it failed")
        }
        try perform(state.couldNotExecute(why))
    }

    /// Reports denied calls, except those that the launcher makes under the filter after a failed exec.
    private mutating func tellOfCalls() { if state.hasStarted { calls?.report() } }

    private mutating func lookAtGroup() throws(LaunchFailure) {
        let isStill = try frozen { () throws(LinuxError) in try freezer.isStill() }
        if isStill { try perform(state.stopped()) }
    }

    /// Fails the launch when freezing fails: the backend must not go on as if it were frozen.
    private func frozen<Value>(_ body: () throws(LinuxError) -> Value) throws(LaunchFailure) -> Value {
        do throws(LinuxError) {
            return try body()
        } catch {
            throw LaunchFailure("freeze: \(error)", isTransient: error.isTransient)
        }
    }

    private mutating func hearAgent() throws(LaunchFailure) {
        let datagram = try layer(.lifeline) { () throws(LinuxError) in try AgentSocket.hear() }
        if let datagram { try perform(state.heard(datagram)) }
    }

    private mutating func answerCall() throws(LaunchFailure) {
        do throws(LinuxError) {
            switch try calls?.answer() {
            case .execution:
                try leaveDescriptors()
                try calls?.letExecute()
            case .newKind: tellOfCalls()
            case .nothing, nil: break
            }
        } catch {
            throw LaunchFailure(.seccomp, error)
        }
    }

    /// Stops sharing descriptors with the backend's process and closes those that the keeper does not need. From here
    /// on processes of the same user cannot trace this one.
    private mutating func leaveDescriptors() throws(LinuxError) {
        try SharedDescriptors.unshare()
        // The backend's socket is closed here, so that the agent sees it close when the backend ends.
        var kept = [watch.raw, execution] + freezer.descriptors
        if let listener = calls?.raw { kept.append(listener) }
        try Launcher.keepOnly(kept)
    }

    private func end() -> CInt {
        kill(child, SIGKILL)
        waitpid(child, nil, 0)
        return LauncherStatus.agentLost
    }
}
