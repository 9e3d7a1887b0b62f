internal import BackendIPC
internal import LinuxSystem

/// The state machine of one backend's life: events with their times go in, actions come out.
///
/// It holds the arithmetic of timeouts, watchdog, backoff and restart budget, and knows no descriptor, clock or process.
/// Its times are those of `Monotonic.awake`: a backend computes nothing while the machine sleeps.
/// Its driver carries every action out, and calls `tick` at `nextDeadline`.
struct BackendLifecycle {
    let limits: SupervisorConfiguration.Limits
    /// How to start it by hand after it failed, as the end of a sentence.
    let remedy: String
    /// Whether it is started again after a loss.
    let restartsItself: Bool

    private(set) var phase = Phase.idle
    /// What the owner should know about the phase; empty when all is well.
    private(set) var detail = ""
    /// Set while it is ready and drains: running sequences go on, no new ones begin.
    private(set) var drain: Drain?
    /// Set while its owner lets nothing compute.
    private(set) var pause: Pause?
    /// The number of starts after a loss.
    private(set) var restarts: UInt32 = 0

    /// What follows the end of the process that still lives, as a stop or a replacement asked.
    private var afterwards: Afterwards?
    /// When its model is unloaded, while it is ready and idle; nil: not by itself.
    private(set) var restAt: Monotonic?
    /// Whether the process that ends now would end the same way again.
    private var endsForOwner = false
    /// Losses of processes that had not worked well for a while.
    private(set) var lossesInARow = 0

    private var isLaunching: Bool {
        if case .launching = phase { true } else { false }
    }

    private var isStopping: Bool {
        if case .stopping = phase { true } else { false }
    }

    /// Whether its end has begun for a known reason.
    private var isEnding: Bool {
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

    private mutating func wentToRest() {
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

    private mutating func startAfresh(at now: Monotonic) -> [Action] {
        lossesInARow = 0
        afterwards = nil
        drain = nil
        restAt = nil
        detail = ""
        return launch(at: now)
    }

    private mutating func launch(at now: Monotonic) -> [Action] {
        guard pause == nil else {
            phase = .held
            return []
        }
        phase = .launching(until: now.advanced(milliseconds: limits.launchMilliseconds))
        return [.launch]
    }

    private mutating func end(then: Afterwards, graceMilliseconds: UInt64, at now: Monotonic) -> [Action] {
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

// Processes that pass from one agent to another.
extension BackendLifecycle {
    /// How a process stands that another agent has started, and that has loaded its model.
    struct Inherited: Equatable {
        var readySince: Monotonic
        var restarts: UInt32 = 0
        var lossesInARow = 0
        /// Whether all of it is frozen.
        var isFrozen = false
    }

    /// Goes on with such a process. It takes requests once what the other agent had begun on it has ended.
    mutating func goesOn(with process: Inherited, at now: Monotonic) -> [Action] {
        guard case .idle = phase else { return [] }
        restarts = process.restarts
        lossesInARow = process.lossesInARow
        phase = .ready(
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

    private mutating func wentOver() {
        afterwards = nil
        drain = nil
        restAt = nil
        detail = "another agent goes on with it"
        phase = .passedOn
    }
}

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
        guard case .loading(var load) = phase, fraction.isFinite else { return [] }
        load.percent = Int(max(0, min(1, fraction)) * 100)
        load.messages += 1
        phase = .loading(load)
        let seconds = now.since(load.since) / 1_000_000_000
        guard load.messages > limits.progressMessagesMax &+ seconds &* limits.progressMessagesPerSecond else {
            return []
        }
        return kill(
            because: "broke the contract: LoadProgress came \(load.messages) times within \(seconds + 1) s; send it "
                + "at most ten times a second" + ContractClause.loadProgress.mark, at: now)
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
        watchdog.unanswered = 0
        // What it has begun since the last answer may be a moment old: the time runs from the first answer that finds
        // it at work.
        if !isBusy || !watchdog.wasBusy || progress != watchdog.progress { watchdog.progressAt = now }
        watchdog.wasBusy = isBusy
        watchdog.progress = progress
        phase = .ready(watchdog)
        guard now.since(watchdog.progressAt) >= limits.stallMilliseconds &* 1_000_000 else { return [] }
        return kill(
            because: "computed nothing for \(limits.stallMilliseconds) ms while sequences had credit: \(Self.tooSlow)"
                + ContractClause.progress.mark,
            isFailure: true, at: now)
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
                    because: "did not end, within \(milliseconds) ms, what another agent had begun: \(Self.tooSlow)"
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
}

extension BackendLifecycle {
    /// Slowness alone is no reason, as long as the parts of a step are computed in time.
    private static let tooSlow = "it hangs, or one part of a step takes longer than that on this machine"

    private mutating func watch(_ old: Watchdog, at now: Monotonic) -> [Action] {
        var watchdog = old
        if watchdog.unanswered >= limits.missedPingsMax {
            let silence = UInt64(watchdog.unanswered) &* limits.pingIntervalMilliseconds
            return kill(
                because: "answered no Ping for \(silence) ms: \(Self.tooSlow)" + ContractClause.pongInTime.mark,
                isFailure: true, at: now)
        }
        if now.since(watchdog.readySince) >= limits.healthyMilliseconds &* 1_000_000 {
            lossesInARow = 0
            detail = ""
        }
        watchdog.unanswered += 1
        watchdog.pingAt = now.advanced(milliseconds: limits.pingIntervalMilliseconds)
        phase = .ready(watchdog)
        return [.ping]
    }

    /// `isFailure`: the process failed at its work.
    private mutating func kill(because reason: String, isFailure: Bool = false, at now: Monotonic) -> [Action] {
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
    private mutating func wentAway(
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
