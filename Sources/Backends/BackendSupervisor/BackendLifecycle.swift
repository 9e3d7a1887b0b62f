internal import BackendIPC
internal import LinuxSystem

/// The state machine of one backend's life: events with their times go in, actions come out.
///
/// It holds the arithmetic of timeouts, watchdog, backoff and restart budget, and knows no descriptor, clock or process.
/// Its times are those of `Monotonic.awake`: a backend computes nothing while the machine sleeps.
/// Its driver carries every action out, and calls `tick` at `nextDeadline`. Only its own functions change its values.
struct BackendLifecycle {
    let limits: SupervisorConfiguration.Limits
    /// How to start it by hand after it failed, as the end of a sentence.
    let remedy: String
    /// Whether it is started again after a loss.
    let restartsItself: Bool

    var phase = Phase.idle
    /// What the owner should know about the phase; empty when all is well.
    var detail = ""
    /// Set while it is ready and drains: running sequences go on, no new ones begin.
    var drain: Drain?
    /// Set while its owner lets nothing compute.
    var pause: Pause?
    /// The number of starts after a loss.
    var restarts: UInt32 = 0
    /// How a process of it failed last, whether or not one works again; nil: none has.
    var lastFailure: (reason: String, at: Monotonic)?

    /// What follows the end of the process that still lives, as a stop or a replacement asked.
    var afterwards: Afterwards?
    /// When its model is unloaded, while it is ready and idle; nil: not by itself.
    var restAt: Monotonic?
    /// Whether the process that ends now would end the same way again.
    var endsForOwner = false
    /// Losses of processes that had not worked well for a while.
    var lossesInARow = 0

    var isLaunching: Bool {
        if case .launching = phase { true } else { false }
    }

    var isStopping: Bool {
        if case .stopping = phase { true } else { false }
    }

    /// Whether its end has begun for a known reason.
    var isEnding: Bool {
        switch phase {
        case .ending, .killed: true
        default: false
        }
    }

    init(limits: SupervisorConfiguration.Limits, remedy: String, restartsItself: Bool = true) {
        self.limits = limits
        self.remedy = remedy
        self.restartsItself = restartsItself
    }

    /// When `tick` is due.
    var nextDeadline: Monotonic? {
        if let pause {
            switch phase {
            case .greeting, .loading, .ready: return pause.isFrozen ? nil : pause.freezeUntil
            case .backingOff, .failed: return nil
            default: break
            }
        }
        return switch phase {
        case .launching(let until), .greeting(let until), .backingOff(let until), .stopping(let until): until
        case .loading(let load): load.until
        case .ready(let watchdog):
            [drain?.until, restAt, watchdog.pingAt, watchdog.settlesBy].compactMap { $0 }.min()
        case .ending(_, let killAt): killAt
        case .killed(_, let until): until
        case .failed(let retryAt): retryAt
        case .idle, .stopped, .resting, .waiting, .yielding, .held, .passedOn: nil
        }
    }

    /// Whether it is started again after the end of its process.
    var startsAgain: Bool { afterwards == .start }
    /// Whether the next request starts it again after the end of its process.
    var restsAfterwards: Bool { afterwards == .rest }

    /// Whether it was lost so often in a row that nobody should wait for it.
    var losesOften: Bool { lossesInARow > limits.lossesInARowMax }

    /// Whether a process runs or is being started.
    var isAlive: Bool {
        switch phase {
        case .launching, .greeting, .loading, .ready, .ending, .killed, .stopping: true
        case .idle, .backingOff, .stopped, .resting, .waiting, .yielding, .failed, .held, .passedOn: false
        }
    }
}

// Time, and what follows the end of a process.
extension BackendLifecycle {
    /// Time has passed; before `nextDeadline` a call does nothing.
    mutating func tick(at now: Monotonic) -> [Action] {
        guard let due = nextDeadline, due <= now else { return [] }
        if pause != nil, !isEnding, !isStopping, !isLaunching {
            return kill(because: "could not be frozen within \(limits.freezeMilliseconds) ms", at: now)
        }
        switch phase {
        case .launching:
            return abandonLaunch(at: now)
        case .greeting:
            return kill(
                because: "sent no Hello within \(limits.helloMilliseconds) ms" + ContractClause.helloInTime.mark,
                at: now)
        case .loading(let load):
            return kill(
                because: "did not load its model in time (it reached \(load.percent) %)"
                    + ContractClause.loadedInTime.mark, at: now)
        case .ready(let watchdog):
            if let settlesBy = watchdog.settlesBy, settlesBy <= now {
                let milliseconds = limits.settleMilliseconds
                return kill(
                    because: "did not end, within \(milliseconds) ms, what another agent had begun: \(Watchdog.tooSlow)"
                        + ContractClause.cancelInTime.mark, isFailure: true, at: now)
            }
            if let drain, drain.until <= now { return becameIdle(at: now) }
            if let restAt, restAt <= now { return unload(at: now) }
            return watch(watchdog, at: now)
        case .backingOff, .failed:
            restarts &+= 1
            return launch(at: now)
        case .stopping:
            return kill(because: "did not end within its grace" + ContractClause.shutdownInTime.mark, at: now)
        case .ending(let reason?, _):
            // What ran on it was lost when it gave up.
            return Array(kill(because: reason, at: now).prefix(1))
        case .ending(nil, _):
            return kill(because: "closed its socket and did not end" + ContractClause.endOfStream.mark, at: now)
        case .killed(let reason, _):
            let words =
                "\(reason), and is not gone \(limits.killedMilliseconds) ms after it was killed: it waits for a disk "
                + "or a device"
            return [.letGo] + wentAway(because: words, forOwner: endsForOwner, at: now)
        case .idle, .stopped, .resting, .waiting, .yielding, .held, .passedOn:
            return []
        }
    }

    mutating func startAfresh(at now: Monotonic) -> [Action] {
        lossesInARow = 0
        afterwards = nil
        drain = nil
        restAt = nil
        detail = ""
        return launch(at: now)
    }

    mutating func launch(at now: Monotonic) -> [Action] {
        guard pause == nil else {
            phase = .held
            return []
        }
        phase = .launching(until: now.advanced(milliseconds: limits.launchMilliseconds))
        return [.launch]
    }

    private mutating func watch(_ old: Watchdog, at now: Monotonic) -> [Action] {
        var watchdog = old
        if let silence = watchdog.pings(limits: limits, at: now) {
            return kill(because: silence, isFailure: true, at: now)
        }
        if now.since(watchdog.readySince) >= limits.healthyMilliseconds &* 1_000_000 {
            lossesInARow = 0
            detail = ""
        }
        phase = .ready(watchdog)
        return [.ping]
    }

    /// `isFailure`: the process failed at its work.
    mutating func kill(because reason: String, isFailure: Bool = false, at now: Monotonic) -> [Action] {
        phase = .killed(reason: reason, until: now.advanced(milliseconds: limits.killedMilliseconds))
        return [.kill, .lose(reason: reason, isFailure: isFailure)]
    }

    private mutating func abandonLaunch(at now: Monotonic) -> [Action] {
        let words =
            "was not started: reading its files and starting the launcher got no further for "
            + "\(limits.launchMilliseconds) ms; look at the disks that they are on"
        return [.abandonLaunch] + launchFailed(words, forOwner: false, at: now)
    }

    /// Decides what follows the end of a process. What may pass is tried again without end, ever more slowly.
    mutating func wentAway(
        because reason: String, forOwner: Bool, ofHost: Bool = false, at now: Monotonic
    ) -> [Action] {
        endsForOwner = false
        drain = nil
        restAt = nil
        switch afterwards {
        case .start:
            return startAfresh(at: now)
        case .stop:
            afterwards = nil
            phase = .stopped
            return []
        case .rest:
            wentToRest()
            return []
        case .passOn:
            wentOver()
            return []
        case nil:
            lastFailure = (reason, now)
            if forOwner, ofHost {
                let milliseconds = limits.hostRetryMilliseconds
                return giveUp(
                    "\(reason); the next try is in \(milliseconds / 1_000) s",
                    retryAt: now.advanced(milliseconds: milliseconds))
            }
            if forOwner || !restartsItself { return giveUp(reason, retryAt: nil) }
            return backOff(reason, at: now)
        }
    }

    private mutating func backOff(_ reason: String, at now: Monotonic) -> [Action] {
        // Past 20 doublings any first delay is above the greatest one.
        let doubled = limits.backoffFirstMilliseconds << UInt64(min(lossesInARow, 20))
        let delay = min(doubled, limits.backoffMaxMilliseconds)
        lossesInARow += 1
        detail = "\(reason); restart after \(delay) ms (\(lossesInARow) in a row)" + (losesOften ? "; \(remedy)" : "")
        phase = .backingOff(until: now.advanced(milliseconds: delay))
        return []
    }

    /// `retryAt` nil: no other start can mend the failure, which is final until its cause has changed.
    private mutating func giveUp(_ reason: String, retryAt: Monotonic?) -> [Action] {
        phase = .failed(retryAt: retryAt)
        detail = "\(reason); \(remedy)"
        return []
    }
}
