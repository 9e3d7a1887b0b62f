internal import EventLoop
internal import LinuxSystem

extension HTTP2Connection {
    /// Sees to it that the timer fires no later than the clock's next moment. A timer that fires early looks and waits
    /// again, which is cheaper than moving it with every request. It holds the connection until it fires or the
    /// connection closes; a weak reference would slow down every use of the connection.
    func armTimer() {
        guard !isClosed, let next = clock.next else { return }
        if let timer {
            if timerMoment <= next { return }
            timer.cancel()
        }
        timerMoment = next
        let nanoseconds = next.since(.now())
        timer = IOLoop.schedule(afterMilliseconds: nanoseconds / 1_000_000 + 1) { self.timerFired() }
    }

    private func timerFired() {
        timer = nil
        guard !isClosed else { return }
        switch clock.due(at: .now()) {
        case .handshake:
            fail(ConnectionFailure(.timedOut, "no HTTP/2 handshake within \(limits.handshakeMilliseconds) ms"))
        case .headers:
            clock.headersEnd = nil
            close(
                .enhanceYourCalm,
                ConnectionFailure(.timedOut, "a header block took longer than \(limits.headersMilliseconds) ms"))
        case .stall:
            fail(
                ConnectionFailure(
                    .timedOut, "the peer read nothing for \(limits.writeStallMilliseconds) ms while bytes waited"))
        case .idle:
            clock.idleEnds = nil
            drain()
        case .drain:
            finishDrain()
        case nil:
            break
        }
        armTimer()
    }

    /// A connection without streams may be closed after a while; only a server does so.
    func noteIdle() {
        guard role == .server, limits.idleMilliseconds > 0 else { return }
        clock.idleEnds = Monotonic.now().advanced(milliseconds: limits.idleMilliseconds)
        armTimer()
    }
}
