internal import LinuxSystem

// Processes that pass from one agent to another.
extension BackendLifecycle {
    /// How a process stands that another agent has started, and that has loaded its model or is loading it.
    struct Inherited: Equatable {
        /// Of one that has loaded it.
        var readySince = Monotonic(nanoseconds: 0)
        var restarts: UInt32 = 0
        var lossesInARow = 0
        /// Whether all of it is frozen.
        var isFrozen = false
        /// The load; nil: it is over.
        var load: Load?
    }

    /// How its process stands, for another agent; nil: it has none that another one could go on with.
    func inherited(at now: Monotonic) -> Inherited? {
        var process = Inherited(restarts: restarts, lossesInARow: lossesInARow)
        switch phase {
        case .loading(let load):
            // In a pause it stands still.
            process.load = load.delayed(nanoseconds: pause.map { now.since($0.since) } ?? 0)
        case .ready(let watchdog): process.readySince = watchdog.readySince
        default: return nil
        }
        return process
    }

    /// Goes on with such a process. It takes requests once what the other agent had begun on it has ended.
    mutating func goesOn(with process: Inherited, at now: Monotonic) -> [Action] {
        guard case .idle = phase else { return [] }
        restarts = process.restarts
        lossesInARow = process.lossesInARow
        phase =
            process.load.map(Phase.loading)
            ?? .ready(
                Watchdog(
                    readySince: process.readySince,
                    pingAt: now.advanced(milliseconds: limits.pingIntervalMilliseconds), progressAt: now,
                    settlesBy: now.advanced(milliseconds: limits.settleMilliseconds)))
        guard pause != nil else { return [.thaw] }
        pause?.isFrozen = process.isFrozen
        return process.isFrozen ? [] : [.freeze]
    }

    /// Ends such a process, because this agent would run another one. A look at the folder then decides what follows.
    mutating func ends(because reason: String, at now: Monotonic) -> [Action] {
        guard case .idle = phase else { return [] }
        afterwards = .stop
        return kill(because: reason, at: now)
    }

    /// What another agent had begun on it has ended.
    mutating func settled() -> [Action] {
        guard case .ready(var watchdog) = phase else { return [] }
        watchdog.settlesBy = nil
        phase = .ready(watchdog)
        return []
    }

    /// Whether something runs on it that another agent had begun.
    var isSettling: Bool { if case .ready(let watchdog) = phase { watchdog.settlesBy != nil } else { false } }

    /// Nothing has happened for so long, because the process was about to pass to another agent.
    mutating func stoodStill(nanoseconds: UInt64) -> [Action] {
        phase = phase.postponed(nanoseconds: nanoseconds)
        drain = drain?.delayed(nanoseconds: nanoseconds)
        restAt = restAt?.advanced(nanoseconds: nanoseconds)
        pause = pause?.delayed(nanoseconds: nanoseconds)
        return []
    }

    /// Another agent serves its model from now on, with its process where that was passed (`isPassed`). Any other process
    /// is ended.
    mutating func passOn(isPassed: Bool, at now: Monotonic) -> [Action] {
        let lost = Action.lose(reason: "goes on under another agent")
        if isPassed {
            wentOver()
            return [lost]
        }
        afterwards = .passOn
        switch phase {
        case .launching:
            return [.callOffLaunch] + end(then: .passOn, graceMilliseconds: limits.exitMilliseconds, at: now)
        case .greeting, .loading, .ready, .stopping: return kill(because: "is started by another agent", at: now)
        case .ending, .killed: return [lost]
        case .idle, .backingOff, .stopped, .resting, .waiting, .yielding, .failed, .held, .passedOn:
            wentOver()
            return []
        }
    }

    mutating func wentOver() {
        afterwards = nil
        drain = nil
        restAt = nil
        detail = "another agent goes on with it"
        phase = .passedOn
    }
}
