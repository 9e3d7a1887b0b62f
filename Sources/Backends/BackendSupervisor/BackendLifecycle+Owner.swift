internal import LinuxSystem

// A pause: all computing stops, because the owner wants it.
extension BackendLifecycle {
    /// Whether a request may begin on it.
    var takesRequests: Bool {
        if case .ready(let watchdog) = phase {
            drain == nil && pause == nil && watchdog.settlesBy == nil
        } else {
            false
        }
    }

    /// Whether nothing of it computes, or it is not paused.
    var isStill: Bool { pause?.isFrozen ?? true || !isAlive }

    /// Stops its computing until `goOn`: no process is launched, one that runs is frozen, or ended where `next` says what
    /// follows, and one that was about to end is ended at once. The times of a process and of its next start stand still.
    /// Called again, it ends what was frozen.
    mutating func pause(endingFor next: Afterwards?, at now: Monotonic) -> [Action] {
        if pause == nil {
            pause = Pause(since: now, freezeUntil: now.advanced(milliseconds: limits.freezeMilliseconds))
        } else if next == nil {
            return []
        }
        switch phase {
        case .launching:
            return [.callOffLaunch]
                + end(then: afterwards ?? next ?? .start, graceMilliseconds: limits.exitMilliseconds, at: now)
        case .greeting, .loading, .ready:
            guard let next else { return [.freeze] }
            afterwards = afterwards ?? next
            return kill(because: "was ended to give its memory back to the owner", at: now)
        case .stopping: return kill(because: "was about to end when it was paused", at: now)
        case .ending(let reason, _): return kill(because: reason ?? "closed its socket", at: now)
        case .idle, .killed, .backingOff, .stopped, .resting, .waiting, .yielding, .failed, .held, .passedOn:
            return []
        }
    }

    /// Every process of it is frozen.
    mutating func froze() -> [Action] {
        pause?.isFrozen = true
        return []
    }

    /// Ends the pause. What stood still has as much time left as it had.
    mutating func goOn(at now: Monotonic) -> [Action] {
        guard let pause else { return [] }
        self.pause = nil
        if case .held = phase { return launch(at: now) }
        let nanoseconds = now.since(pause.since)
        phase = phase.delayed(nanoseconds: nanoseconds)
        drain = drain?.delayed(nanoseconds: nanoseconds)
        restAt = restAt?.advanced(nanoseconds: nanoseconds)
        switch phase {
        case .greeting, .loading, .ready: return [.thaw]
        default: return []
        }
    }
}

// A model that is in memory only while it is asked for.
extension BackendLifecycle {
    /// The next request starts it; an earlier obstacle may be gone.
    mutating func rest() -> [Action] {
        guard !isAlive else { return [] }
        wentToRest()
        return []
    }

    /// A request wants its model, and there is memory for it.
    mutating func demand(at now: Monotonic) -> [Action] {
        if case .resting = phase { return startAfresh(at: now) }
        if restsAfterwards, drain == nil { afterwards = .start }
        return []
    }

    /// Ends its process to free its memory; the next request starts it again.
    mutating func unload(at now: Monotonic) -> [Action] {
        switch phase {
        case .launching, .greeting, .loading, .ready:
            end(then: .rest, graceMilliseconds: limits.replaceGraceMilliseconds, at: now)
        default: []
        }
    }

    /// Sets when its idle model is unloaded; nil: something runs on it, or it is not unloaded by itself.
    mutating func idle(until moment: Monotonic?) -> [Action] {
        if case .ready = phase { restAt = moment }
        return []
    }

    /// The machine has slept for so long, of which its clock does not know. An idle model is kept for the time that its
    /// owner has set, sleep included; in a pause that time stands still.
    mutating func slept(nanoseconds: UInt64) -> [Action] {
        if pause == nil { restAt = restAt?.earlier(nanoseconds: nanoseconds) }
        return []
    }

    mutating func wentToRest() {
        afterwards = nil
        restAt = nil
        detail = ""
        phase = .resting
    }
}

// Requests of its owner.
extension BackendLifecycle {
    /// Starts it unless it runs or is about to.
    mutating func start(at now: Monotonic) -> [Action] {
        switch phase {
        case .idle, .stopped, .resting, .waiting, .yielding, .failed:
            return startAfresh(at: now)
        case .held, .passedOn: return []
        case .ready where drain != nil:
            resume()
            return []
        case .stopping, .ending, .killed:
            afterwards = .start
            return []
        case .launching where afterwards != nil:
            afterwards = .start
            return []
        case .launching, .greeting, .loading, .ready, .backingOff:
            return []
        }
    }

    /// Ends its process once nothing runs on it, or at once (`isNow`), and then `next`; one that failed is tried again.
    mutating func restart(then next: Afterwards, isIdle: Bool, isNow: Bool, at now: Monotonic) -> [Action] {
        switch phase {
        case .idle, .stopped, .yielding, .resting, .held, .passedOn: return []
        case .stopping, .ending, .killed: return []
        case .greeting where isNow, .loading where isNow, .ready where isNow:
            afterwards = next
            return kill(because: "was ended by its owner, to start anew", at: now)
        default:
            let actions = drain(then: next, isIdle: isIdle, why: "its owner starts it anew", at: now)
            drain?.isRestart = true
            return actions
        }
    }

    /// An obstacle may be gone: it is started at once, as if for the first time, unless it runs.
    mutating func obstacleChanged(at now: Monotonic) -> [Action] {
        switch phase {
        case .backingOff, .waiting, .failed: startAfresh(at: now)
        default: []
        }
    }

    /// Ends the process if there is one, within the grace, and then starts it as if for the first time.
    mutating func replace(graceMilliseconds: UInt64, at now: Monotonic) -> [Action] {
        if !isAlive { return startAfresh(at: now) }
        return end(then: .start, graceMilliseconds: graceMilliseconds, at: now)
    }

    /// Ends the process if there is one, within the grace.
    mutating func stop(graceMilliseconds: UInt64, why: String, at now: Monotonic) -> [Action] {
        detail = why
        if !isAlive {
            phase = .stopped
            return []
        }
        return end(then: .stop, graceMilliseconds: graceMilliseconds, at: now)
    }

    /// Ends the process at once, and then starts it as if for the first time.
    mutating func replaceNow(because reason: String, at now: Monotonic) -> [Action] {
        guard isAlive else { return startAfresh(at: now) }
        if afterwards == nil { afterwards = .start }
        switch phase {
        case .greeting, .loading, .ready, .stopping: return kill(because: reason, at: now)
        default: return []
        }
    }

    /// Ends the process once nothing runs on it, or within `drainMilliseconds`; `next` says what follows. A process
    /// that is not ready ends at once.
    mutating func drain(then next: Afterwards, isIdle: Bool, why: String, at now: Monotonic) -> [Action] {
        guard case .ready = phase, !isIdle else { return finishDrain(then: next, why: why, at: now) }
        afterwards = next
        drain = Drain(
            until: drain?.until ?? now.advanced(milliseconds: limits.drainMilliseconds), why: why,
            isRestart: drain?.isRestart ?? false)
        return []
    }

    /// Nothing runs on it any more.
    mutating func becameIdle(at now: Monotonic) -> [Action] {
        guard let drain, let afterwards else { return [] }
        return finishDrain(then: afterwards, why: drain.why, at: now)
    }

    /// Ends the drain: the running process is already what it was to be replaced by.
    private mutating func resume() {
        drain = nil
        afterwards = nil
    }

    private mutating func finishDrain(then next: Afterwards, why: String, at now: Monotonic) -> [Action] {
        drain = nil
        let grace = limits.replaceGraceMilliseconds
        switch next {
        case .start: return replace(graceMilliseconds: grace, at: now)
        case .stop, .passOn: return stop(graceMilliseconds: grace, why: why, at: now)
        case .rest: return isAlive ? end(then: .rest, graceMilliseconds: grace, at: now) : rest()
        }
    }

    /// Another backend serves its model: only a start or a replacement starts this one. A process that is about to end
    /// still ends.
    mutating func yield(why: String, at now: Monotonic) -> [Action] {
        guard !isAlive else { return [] }
        phase = .yielding
        detail = why
        return []
    }

    mutating func end(then: Afterwards, graceMilliseconds: UInt64, at now: Monotonic) -> [Action] {
        afterwards = then
        drain = nil
        restAt = nil
        switch phase {
        case .launching(let until):
            // A launch that makes progress is over in a moment; one that hangs does not get the whole grace.
            let milliseconds = min(graceMilliseconds, limits.exitMilliseconds)
            phase = .launching(until: min(until, now.advanced(milliseconds: milliseconds)))
            return []
        case .greeting:
            return kill(because: "was stopped before it said Hello", at: now)
        case .loading where pause != nil, .ready where pause != nil:
            // It stands still, and cannot end by itself.
            return kill(because: "was stopped while it was paused", at: now)
        case .loading, .ready:
            phase = .stopping(killAt: now.advanced(milliseconds: graceMilliseconds))
            return [.shutDown(graceMilliseconds: graceMilliseconds)]
        case .stopping(let killAt):
            let sooner = min(killAt, now.advanced(milliseconds: graceMilliseconds))
            phase = .stopping(killAt: sooner)
            return []
        case .idle, .ending, .killed, .backingOff, .stopped, .resting, .waiting, .yielding, .failed, .held, .passedOn:
            return []
        }
    }
}
