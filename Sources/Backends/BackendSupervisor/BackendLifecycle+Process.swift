internal import BackendIPC
internal import LinuxSystem

// Events of the process.
extension BackendLifecycle {
    /// The launch is under way and has made progress since the last call.
    mutating func launchProgressed(at now: Monotonic) -> [Action] {
        guard isLaunching, afterwards == nil else { return [] }
        phase = .launching(until: now.advanced(milliseconds: limits.launchMilliseconds))
        return []
    }

    mutating func launched(at now: Monotonic) -> [Action] {
        guard isLaunching else { return [] }
        if afterwards != nil { return kill(because: "was stopped while it was launched", at: now) }
        phase = .greeting(until: now.advanced(milliseconds: limits.helloMilliseconds))
        return []
    }

    /// The launch failed. `forOwner`: another attempt would fail as well until the owner acts.
    mutating func launchFailed(_ why: String, forOwner: Bool, at now: Monotonic) -> [Action] {
        guard isLaunching else { return [] }
        return wentAway(because: why, forOwner: forOwner, at: now)
    }

    /// The launch failed because the weights are missing or not whole.
    mutating func launchWaits(_ why: String, at now: Monotonic) -> [Action] {
        guard isLaunching else { return [] }
        guard afterwards == nil else { return wentAway(because: why, forOwner: false, at: now) }
        phase = .waiting
        detail = why
        return []
    }

    /// The weights are still missing or not whole; `why` may have changed.
    mutating func goesOnWaiting(_ why: String) -> [Action] {
        if case .waiting = phase { detail = why }
        return []
    }

    /// A `Hello` that the agent can answer.
    mutating func greeted(loadMilliseconds: UInt64, at now: Monotonic) -> [Action] {
        guard case .greeting = phase else { return [] }
        phase = .loading(Load(since: now, until: now.advanced(milliseconds: loadMilliseconds)))
        return []
    }

    mutating func loadProgressed(_ fraction: Float, at now: Monotonic) -> [Action] {
        guard case .loading(var load) = phase else { return [] }
        let breach = load.progressed(fraction, limits: limits, at: now)
        phase = .loading(load)
        return breach.map { kill(because: $0, at: now) } ?? []
    }

    mutating func loaded(at now: Monotonic) -> [Action] {
        guard case .loading = phase else { return [] }
        phase = .ready(
            Watchdog(
                readySince: now, pingAt: now.advanced(milliseconds: limits.pingIntervalMilliseconds), progressAt: now))
        return []
    }

    /// A `Pong`. `progress` is any number that grows as the backend computes; `isBusy`: a sequence that it could compute
    /// for is unfinished.
    mutating func answered(progress: UInt64, isBusy: Bool, at now: Monotonic) -> [Action] {
        guard case .ready(var watchdog) = phase else { return [] }
        let stall = watchdog.answered(progress: progress, isBusy: isBusy, limits: limits, at: now)
        phase = .ready(watchdog)
        return stall.map { kill(because: $0, isFailure: true, at: now) } ?? []
    }

    /// It broke the contract, or cannot be talked to.
    mutating func broke(_ sentence: String, at now: Monotonic) -> [Action] {
        guard isAlive, !isLaunching, !isEnding else { return [] }
        return kill(because: sentence, isFailure: true, at: now)
    }

    /// The backend said that it cannot go on; it may end by itself within the time for an exit. `forOwner` counts only
    /// before it was ready, because a model that was loaded once can be loaded again.
    mutating func gaveUp(_ sentence: String, forOwner: Bool, at now: Monotonic) -> [Action] {
        guard isAlive, !isLaunching, !isEnding else { return [] }
        if case .ready = phase { endsForOwner = false } else { endsForOwner = forOwner }
        phase = .ending(reason: sentence, killAt: now.advanced(milliseconds: limits.exitMilliseconds))
        return [.lose(reason: sentence, isFailure: true)]
    }

    /// It closed its socket; its exit should follow, and says more.
    mutating func closed(at now: Monotonic) -> [Action] {
        switch phase {
        case .greeting, .loading, .ready:
            phase = .ending(reason: nil, killAt: now.advanced(milliseconds: limits.exitMilliseconds))
        default: break
        }
        return []
    }

    /// The process is gone, and was reaped. `words` are for everybody; `detail` is the same, and more, for its owner.
    /// Where the host is the obstacle, a start is tried again at a slow pace, because not every obstacle shows that it
    /// has gone. `isFailure`: the process failed at its work; `hasWorked`: it had done enough of it not to count as one
    /// that cannot work.
    mutating func exited(
        _ words: String, detail: String? = nil, forOwner: Bool, ofHost: Bool = false, isFailure: Bool = true,
        hasWorked: Bool = false, at now: Monotonic
    ) -> [Action] {
        guard isAlive else { return [] }
        if hasWorked { lossesInARow = 0 }
        switch phase {
        case .ending(let reason?, _), .killed(let reason, _):
            return wentAway(because: reason, forOwner: endsForOwner || forOwner, ofHost: ofHost, at: now)
        case .stopping:
            return [.lose(reason: "was stopped")] + wentAway(because: words, forOwner: false, at: now)
        default:
            return [.lose(reason: words, isFailure: isFailure)]
                + wentAway(because: detail ?? words, forOwner: forOwner, ofHost: ofHost, at: now)
        }
    }

    /// It was not its own fault that its process was lost: the request that it ran alone would end every process.
    mutating func lossIsExplained(at now: Monotonic) -> [Action] {
        lossesInARow = 0
        if case .backingOff = phase { return startAfresh(at: now) }
        return []
    }
}
