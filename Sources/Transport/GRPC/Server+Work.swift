internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem

/// The work charged to a server's callers, and what waits for their steps.
struct ServerWork {
    var accounts: CallerAccounts
    /// What waits, by caller; a caller has an entry only while something waits.
    var waiting: [CallerID: WaitingLine<@IOLoop () -> Void>] = [:]

    init(_ limits: Limits) {
        accounts = CallerAccounts(
            stepsPerSecondMax: limits.callerStepsPerSecondMax, stepsAtOnceMax: limits.callerStepsAtOnceMax,
            callersMax: limits.callersMax)
    }
}

/// A place in a caller's queue for steps.
struct StepsTicket {
    fileprivate let caller: CallerID
    fileprivate let ticket: UInt64
}

extension Server {
    /// At most this many waiting callbacks run before other work gets its turn of the loop.
    private static let resumedAtOnceMax = 64

    /// Charges work to a caller, in steps.
    package func charge(_ steps: Int, to caller: CallerID) {
        guard steps > 0 else { return }
        work.accounts.charge(steps, to: caller, at: .now())
    }

    /// The steps that a caller may use now; 0: its new requests wait, but answers to earlier ones do not.
    package func stepsLeft(of caller: CallerID) -> Int { work.accounts.stepsLeft(of: caller, at: .now()) }

    /// Calls `resume` once, when the caller has steps again, after its callbacks that have waited for longer. Counts
    /// the limit as met.
    func awaitSteps(of caller: CallerID, _ resume: @escaping @IOLoop () -> Void) -> StepsTicket {
        noteLimit("callerStepsPerSecondMax")
        let isFirst = work.waiting[caller] == nil
        let ticket = work.waiting[caller, default: WaitingLine()].append(resume)
        if isFirst { scheduleSteps(of: caller) }
        return StepsTicket(caller: caller, ticket: ticket)
    }

    /// Does nothing for a ticket whose callback has run.
    func stopAwaitingSteps(_ ticket: StepsTicket) { work.waiting[ticket.caller]?.remove(ticket.ticket) }

    /// Charges the work of reading a connection to its caller. False: further reading waits for the caller's steps. The
    /// owner's server never waits.
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
