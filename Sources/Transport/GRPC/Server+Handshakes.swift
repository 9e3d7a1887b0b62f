internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem

/// TLS handshakes, which have a share of their own in each turn of the loop, because a signature cannot be split.
struct ServerHandshakes {
    var line = HandshakeLine<ServerConnection>()
    /// Handshakes that may be begun for a caller.
    var allowances: CallerAccounts
    var isScheduled = false

    init(_ limits: Limits) {
        allowances = CallerAccounts(
            stepsPerSecondMax: limits.handshakesPerSecondMax, stepsAtOnceMax: limits.handshakesPerSecondMax,
            callersMax: limits.callersMax)
    }
}

extension Server: UnfinishedWork {
    func awaitHandshake(of connection: ServerConnection) {
        connection.handshake = handshakes.line.append(connection, of: connection.callerID)
        scheduleHandshakes()
    }

    func leaveHandshakeLine(_ connection: ServerConnection) {
        if let ticket = connection.handshake { handshakes.line.remove(ticket) }
        connection.handshake = nil
    }

    private func scheduleHandshakes() {
        guard !handshakes.isScheduled, handshakes.line.hasNext else { return }
        handshakes.isScheduled = true
        // Handshakes go on in every turn, before other unfinished work.
        IOLoop.goOnLater(self, .first)
    }

    package func goOn(steps: Int) -> Int {
        handshakes.isScheduled = false
        var taken = 0
        for _ in 0..<limits.handshakesPerTurnMax {
            guard let caller = handshakes.line.nextCaller() else { break }
            if mayHandshake(caller) {
                guard let connection = handshakes.line.popFirst(of: caller) else { continue }
                connection.handshake = nil
                handshake(connection, caller)
                taken += WorkSteps.perHandshake
            } else {
                park(caller)
            }
        }
        scheduleHandshakes()
        return taken
    }

    private func mayHandshake(_ caller: CallerID) -> Bool {
        priority == .first || handshakes.allowances.stepsLeft(of: caller, at: .now()) > 0
    }

    private func handshake(_ connection: ServerConnection, _ caller: CallerID) {
        guard let http2 = connection.http2 else { return }
        if !http2.hasBegunHandshake {
            handshakes.allowances.charge(1, to: caller, at: .now())
            charge(WorkSteps.perHandshake, to: caller)
        }
        http2.goOnWithHandshake()
    }

    private func park(_ caller: CallerID) {
        noteLimit("handshakesPerSecondMax")
        handshakes.line.park(caller)
        let wait = handshakes.allowances.millisecondsUntilSteps(of: caller, at: .now())
        IOLoop.schedule(afterMilliseconds: wait) { [weak self] in
            self?.handshakes.line.unpark(caller)
            self?.scheduleHandshakes()
        }
    }
}
