internal import LaunchPlan
internal import LinuxSystem

/// What a keeper knows of its backend, and what it does about what happens. A plain value: no descriptor, no process.
struct KeeperState {
    enum Phase: Equatable {
        /// The backend's process has not executed yet.
        case launching
        /// It could not.
        case failed
        case running
        /// It was told to stand still, and does not yet.
        case freezing
        case frozen
    }

    enum Action: Equatable {
        case say(KeeperReport)
        /// Make everything of the backend stand still.
        case stop
        case resume
        /// End the backend: the agent is not what it should be.
        case refuse(String)
    }

    private(set) var phase = Phase.launching
    /// The backend's process was seen to be stopped by a signal, its own perhaps.
    private var isStopped = false

    /// Whether the agent is listened to: a command is answered before the next is read, and none is read before the backend
    /// runs.
    var hearsCommands: Bool { phase == .running || phase == .frozen }

    /// The backend runs, or did: what its process does is its own.
    var hasStarted: Bool { phase != .launching && phase != .failed }

    /// The backend's process has become the backend.
    mutating func executed() -> [Action] {
        guard phase == .launching else { return [] }
        phase = .running
        return [.say(.started)]
    }

    /// It could not become the backend, and says why.
    mutating func couldNotExecute(_ why: KeeperReport) -> [Action] {
        guard phase == .launching else { return [] }
        phase = .failed
        return [.say(why)]
    }

    /// A datagram of the agent's, while `hearsCommands`.
    mutating func heard(_ datagram: [UInt8]) -> [Action] {
        guard let command = KeeperCommand(decoding: datagram) else {
            return [.refuse("the agent asked for what no agent asks for, in \(datagram.count) bytes")]
        }
        switch (command, phase) {
        case (.freeze, .running):
            phase = isStopped ? .frozen : .freezing
            return isStopped ? [.stop, .say(.frozen)] : [.stop]
        case (.thaw, .frozen):
            phase = .running
            isStopped = false
            return [.resume, .say(.thawed)]
        case (.freeze, .frozen): return [.say(.frozen)]
        case (.thaw, .running): return [.say(.thawed)]
        case (_, .launching), (_, .failed), (_, .freezing): return []
        }
    }

    /// The backend stands still: its group, or its process by a signal.
    mutating func stopped() -> [Action] {
        isStopped = true
        guard phase == .freezing else { return [] }
        phase = .frozen
        return [.say(.frozen)]
    }

    /// A signal had its process go on.
    mutating func continued() -> [Action] {
        isStopped = false
        return phase == .freezing || phase == .frozen ? [.stop] : []
    }

    /// Its process has ended.
    func ended(_ status: ExitStatus, _ use: ResourceUse) -> [Action] {
        phase == .failed ? [] : [.say(.ended(status, use))]
    }
}
