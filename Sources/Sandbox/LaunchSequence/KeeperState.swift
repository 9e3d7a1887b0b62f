internal import LaunchPlan
internal import LinuxSystem

/// The state machine of a keeper: the state of its backend, and the actions for each event. A plain value: no
/// descriptor, no process.
struct KeeperState {
    enum Phase: Equatable {
        /// The backend's process has not executed yet.
        case launching
        /// The exec failed.
        case failed
        case running
        /// A freeze has begun and is not complete.
        case freezing
        case frozen
    }

    enum Action: Equatable {
        case say(KeeperReport)
        /// Freeze all processes of the backend.
        case stop
        case resume
        /// End the backend, because the agent broke the protocol.
        case refuse(String)
    }

    private(set) var phase = Phase.launching
    /// Whether the backend's process was stopped by a signal, perhaps its own.
    private var isStopped = false

    /// Whether a command is read now: each is answered before the next is read, and none is read before the backend
    /// runs.
    var hearsCommands: Bool { phase == .running || phase == .frozen }

    /// Whether the backend was executed; from then on its process is no longer the launcher's.
    var hasStarted: Bool { phase != .launching && phase != .failed }

    /// The exec has succeeded.
    mutating func executed() -> [Action] {
        guard phase == .launching else { return [] }
        phase = .running
        return [.say(.started)]
    }

    /// The process could not become the backend; `why` is its report.
    mutating func couldNotExecute(_ why: KeeperReport) -> [Action] {
        guard phase == .launching else { return [] }
        phase = .failed
        return [.say(why)]
    }

    /// A datagram of the agent has come, while `hearsCommands`.
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

    /// The backend is stopped: its group, or its process by a signal.
    mutating func stopped() -> [Action] {
        isStopped = true
        guard phase == .freezing else { return [] }
        phase = .frozen
        return [.say(.frozen)]
    }

    /// A signal has continued its process.
    mutating func continued() -> [Action] {
        isStopped = false
        return phase == .freezing || phase == .frozen ? [.stop] : []
    }

    /// Its process has ended.
    func ended(_ status: ExitStatus, _ use: ResourceUse) -> [Action] {
        phase == .failed ? [] : [.say(.ended(status, use))]
    }
}
