internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem

/// What a server's callers cost it, and who waits because of that.
struct ServerWork {
    var accounts: CallerAccounts
    /// By caller, for as long as somebody waits.
    var waiting: [CallerID: WaitingLine<@IOLoop () -> Void>] = [:]

    init(_ limits: Limits) {
        accounts = CallerAccounts(
            stepsPerSecondMax: limits.callerStepsPerSecondMax, stepsAtOnceMax: limits.callerStepsAtOnceMax,
            callersMax: limits.callersMax)
    }
}

/// A place among those of a caller's things that wait for steps.
struct StepsTicket {
    fileprivate let caller: CallerID
    fileprivate let ticket: UInt64
}

extension Server {
    /// Who waits is called back in so many at once, before others get their turn of the loop.
    private static let resumedAtOnceMax = 64

    /// Counts work that was done for a caller, in steps.
    package func charge(_ steps: Int, to caller: CallerID) {
        guard steps > 0 else { return }
        work.accounts.charge(steps, to: caller, at: .now())
    }

    /// Steps that a caller may cost now; 0: what it newly asks for waits. Answers to what it has asked for do not.
    package func stepsLeft(of caller: CallerID) -> Int { work.accounts.stepsLeft(of: caller, at: .now()) }

    /// Calls back, once, when the caller has steps again, after those of it that have waited for longer. Counts that a
    /// limit was met.
    func awaitSteps(of caller: CallerID, _ resume: @escaping @IOLoop () -> Void) -> StepsTicket {
        noteLimit("callerStepsPerSecondMax")
        let isFirst = work.waiting[caller] == nil
        let ticket = work.waiting[caller, default: WaitingLine()].append(resume)
        if isFirst { scheduleSteps(of: caller) }
        return StepsTicket(caller: caller, ticket: ticket)
    }

    /// Does nothing for who was called back already.
    func stopAwaitingSteps(_ ticket: StepsTicket) { work.waiting[ticket.caller]?.remove(ticket.ticket) }

    /// What was read of a connection is its caller's work, and the next waits for steps of it. Not the owner's.
    func worked(_ steps: Int, for connection: ServerConnection) -> Bool {
        guard priority == .usual else { return true }
        let caller = connection.callerID
        charge(steps, to: caller)
        guard stepsLeft(of: caller) <= 0 else { return true }
        connection.heldUp = awaitSteps(of: caller) { [weak connection] in
            connection?.heldUp = nil
            connection?.http2?.resumeReading()
        }
        return false
    }

    /// A connection has closed.
    func stopHoldingUp(_ connection: ServerConnection) {
        if let ticket = connection.heldUp { stopAwaitingSteps(ticket) }
        connection.heldUp = nil
    }

    private func scheduleSteps(of caller: CallerID) {
        let wait = work.accounts.millisecondsUntilSteps(of: caller, at: .now())
        IOLoop.schedule(afterMilliseconds: wait) { [weak self] in self?.resumeWork(of: caller) }
    }

    private func resumeWork(of caller: CallerID) {
        for _ in 0..<Self.resumedAtOnceMax {
            guard stepsLeft(of: caller) > 0, let resume = work.waiting[caller]?.popFirst() else { break }
            resume()
        }
        if work.waiting[caller]?.isEmpty == false {
            scheduleSteps(of: caller)
        } else {
            work.waiting[caller] = nil
        }
    }
}
