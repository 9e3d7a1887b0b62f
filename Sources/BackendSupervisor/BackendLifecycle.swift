internal import LinuxSystem

/// The life of one backend as a value: what happened and when goes in, what is to be done comes out.
///
/// It holds the arithmetic of timeouts, watchdog, backoff and restart budget, and knows no descriptor, clock or process.
/// Its driver carries every action out, and calls `tick` at `nextDeadline`.
struct BackendLifecycle {
    enum Phase: Equatable {
        /// Nothing was asked for yet.
        case idle
        /// The executable and the weights are checked and the launcher is started.
        case launching
        /// The process runs; its `Hello` is due.
        case greeting(until: Monotonic)
        case loading(Load)
        case ready(Watchdog)
        /// It was killed, or closed its socket; its exit is due. Without a reason the exit's own words tell it.
        case ending(reason: String?, killAt: Monotonic?)
        case backingOff(until: Monotonic)
        /// It was asked to end, and is killed at this moment.
        case stopping(killAt: Monotonic)
        case stopped
        case failed
    }

    enum Action: Equatable {
        case launch
        case ping
        case shutDown(graceMilliseconds: UInt64)
        /// Hear no more from the process and kill it.
        case kill
        /// Its sequences and questions have come to nothing.
        case lose(reason: String)
    }

    /// How far a load is.
    struct Load: Equatable {
        let since: Monotonic
        let until: Monotonic
        var percent = 0
        /// How often it was told.
        var messages: UInt64 = 0
    }

    /// What a ready backend has to show.
    struct Watchdog: Equatable {
        let readySince: Monotonic
        var pingAt: Monotonic
        var unanswered: UInt32 = 0
        var progress: UInt64 = 0
        /// When it last had nothing to do, or was seen to have done more than before.
        var progressAt: Monotonic
        var wasBusy = false
    }

    private enum Afterwards { case start, stop }

    let limits: SupervisorConfiguration.Limits
    /// What to do to start it by hand after it failed; ends a sentence.
    let remedy: String

    private(set) var phase = Phase.idle
    /// What the owner should know about the phase; empty when all is well.
    private(set) var detail = ""
    /// Starts after a loss.
    private(set) var restarts: UInt32 = 0

    /// What a stop or a replacement asked for while a process still lives.
    private var afterwards: Afterwards?
    /// What ends now would end the same way again.
    private var endsForOwner = false
    private var lossesInARow = 0
    private var recentRestarts: [Monotonic] = []

    init(limits: SupervisorConfiguration.Limits, remedy: String) {
        self.limits = limits
        self.remedy = remedy
    }

    /// When `tick` is due.
    var nextDeadline: Monotonic? {
        switch phase {
        case .greeting(let until), .backingOff(let until), .stopping(let until): until
        case .loading(let load): load.until
        case .ready(let watchdog): watchdog.pingAt
        case .ending(_, let killAt): killAt
        case .idle, .launching, .stopped, .failed: nil
        }
    }

    /// A process runs or is being started.
    var isAlive: Bool {
        switch phase {
        case .launching, .greeting, .loading, .ready, .ending, .stopping: true
        case .idle, .backingOff, .stopped, .failed: false
        }
    }
}

// What its owner asks for.
extension BackendLifecycle {
    /// Starts it unless it runs or is about to.
    mutating func start(at now: Monotonic) -> [Action] {
        switch phase {
        case .idle, .stopped, .failed:
            return startAfresh()
        case .stopping, .ending:
            afterwards = .start
            return []
        case .launching where afterwards == .stop:
            afterwards = .start
            return []
        case .launching, .greeting, .loading, .ready, .backingOff:
            return []
        }
    }

    /// Ends the process if there is one, within the grace, and then starts it as if for the first time.
    mutating func replace(graceMilliseconds: UInt64, at now: Monotonic) -> [Action] {
        if !isAlive { return startAfresh() }
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

    /// Leaves it failed; for what only its owner can put right.
    mutating func fail(why: String, at now: Monotonic) -> [Action] {
        guard !isAlive else { return [] }
        phase = .failed
        detail = why
        return []
    }

    private mutating func startAfresh() -> [Action] {
        lossesInARow = 0
        recentRestarts = []
        afterwards = nil
        detail = ""
        phase = .launching
        return [.launch]
    }

    private mutating func end(then: Afterwards, graceMilliseconds: UInt64, at now: Monotonic) -> [Action] {
        afterwards = then
        switch phase {
        case .greeting:
            return kill(because: "was stopped before it said Hello", at: now)
        case .loading, .ready:
            phase = .stopping(killAt: now.advanced(milliseconds: graceMilliseconds))
            return [.shutDown(graceMilliseconds: graceMilliseconds)]
        case .stopping(let killAt):
            let sooner = min(killAt, now.advanced(milliseconds: graceMilliseconds))
            phase = .stopping(killAt: sooner)
            return []
        case .idle, .launching, .ending, .backingOff, .stopped, .failed:
            return []
        }
    }
}

// What happens to the process.
extension BackendLifecycle {
    mutating func launched(at now: Monotonic) -> [Action] {
        guard phase == .launching else { return [] }
        if afterwards != nil { return kill(because: "was stopped while it was launched", at: now) }
        phase = .greeting(until: now.advanced(milliseconds: limits.helloMilliseconds))
        return []
    }

    /// No process came to be. What another attempt cannot change is for its owner.
    mutating func launchFailed(_ why: String, forOwner: Bool, at now: Monotonic) -> [Action] {
        guard phase == .launching else { return [] }
        return wentAway(because: why, forOwner: forOwner, at: now)
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
                + "at most ten times a second", at: now)
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
            because: "computed nothing for \(limits.stallMilliseconds) ms while sequences had credit", at: now)
    }

    /// It broke the contract, or cannot be talked to.
    mutating func broke(_ sentence: String, at now: Monotonic) -> [Action] {
        guard isAlive, phase != .launching else { return [] }
        if case .ending = phase { return [] }
        return kill(because: sentence, at: now)
    }

    /// It said that it cannot go on; it may end by itself within the time for an exit.
    mutating func gaveUp(_ sentence: String, forOwner: Bool, at now: Monotonic) -> [Action] {
        guard isAlive, phase != .launching else { return [] }
        if case .ending = phase { return [] }
        endsForOwner = forOwner
        phase = .ending(reason: sentence, killAt: now.advanced(milliseconds: limits.exitMilliseconds))
        return [.lose(reason: sentence)]
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

    /// The process is gone, and was reaped.
    mutating func exited(_ words: String, forOwner: Bool, at now: Monotonic) -> [Action] {
        guard isAlive else { return [] }
        switch phase {
        case .ending(let reason?, _):
            return wentAway(because: reason, forOwner: endsForOwner || forOwner, at: now)
        case .stopping:
            return [.lose(reason: "was stopped")] + wentAway(because: words, forOwner: false, at: now)
        default:
            return [.lose(reason: words)] + wentAway(because: words, forOwner: forOwner, at: now)
        }
    }

    /// Time has passed; a call too many does nothing.
    mutating func tick(at now: Monotonic) -> [Action] {
        guard let due = nextDeadline, due <= now else { return [] }
        switch phase {
        case .greeting:
            return kill(because: "sent no Hello within \(limits.helloMilliseconds) ms", at: now)
        case .loading(let load):
            return kill(because: "did not load its model in time (it reached \(load.percent) %)", at: now)
        case .ready(let watchdog):
            return watch(watchdog, at: now)
        case .backingOff:
            restarts &+= 1
            phase = .launching
            return [.launch]
        case .stopping:
            return kill(because: "did not end within its grace", at: now)
        case .ending(let reason, _):
            phase = .ending(reason: reason, killAt: nil)
            if reason != nil { return [.kill] }
            return kill(because: "closed its socket and did not end", at: now)
        case .idle, .launching, .stopped, .failed:
            return []
        }
    }
}

extension BackendLifecycle {
    private mutating func watch(_ old: Watchdog, at now: Monotonic) -> [Action] {
        var watchdog = old
        if watchdog.unanswered >= limits.missedPingsMax {
            let silence = UInt64(watchdog.unanswered) &* limits.pingIntervalMilliseconds
            return kill(because: "answered no Ping for \(silence) ms", at: now)
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

    private mutating func kill(because reason: String, at now: Monotonic) -> [Action] {
        phase = .ending(reason: reason, killAt: nil)
        return [.kill, .lose(reason: reason)]
    }

    /// Nothing lives any more: what now?
    private mutating func wentAway(because reason: String, forOwner: Bool, at now: Monotonic) -> [Action] {
        endsForOwner = false
        switch afterwards {
        case .start:
            return startAfresh()
        case .stop:
            afterwards = nil
            phase = .stopped
            return []
        case nil:
            return forOwner ? giveUp(reason) : backOff(reason, at: now)
        }
    }

    private mutating func backOff(_ reason: String, at now: Monotonic) -> [Action] {
        recentRestarts.removeAll { now.since($0) > limits.restartWindowMilliseconds &* 1_000_000 }
        guard recentRestarts.count < limits.restartsMax else {
            let minutes = limits.restartWindowMilliseconds / 60_000
            return giveUp("\(reason), after \(limits.restartsMax) restarts within \(minutes) min")
        }
        // Past 20 doublings any first delay is above the greatest one.
        let doubled = limits.backoffFirstMilliseconds << UInt64(min(lossesInARow, 20))
        let delay = min(doubled, limits.backoffMaxMilliseconds)
        lossesInARow += 1
        recentRestarts.append(now)
        detail = "\(reason); restart \(recentRestarts.count) of \(limits.restartsMax)"
        phase = .backingOff(until: now.advanced(milliseconds: delay))
        return []
    }

    private mutating func giveUp(_ reason: String) -> [Action] {
        phase = .failed
        detail = "\(reason); \(remedy)"
        return []
    }
}
