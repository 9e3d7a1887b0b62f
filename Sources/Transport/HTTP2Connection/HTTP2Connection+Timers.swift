internal import CNghttp2
internal import EventLoop
internal import LinuxSystem

extension HTTP2Connection {
    /// How long a deadline is postponed while the peer's bytes may be unread.
    private static let putOffMilliseconds: UInt64 = 1_000

    /// Makes the timer fire no later than the clock's next deadline. A timer that fires early checks and waits again,
    /// which is cheaper than moving it with every request. It keeps the connection alive until it fires or the
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
        let now = Monotonic.now()
        if hasUnfinishedInput || isHeldUp {
            let dues: [ConnectionClock.Due] = [.handshake, .headers, .keepalive]
            for due in dues where clock[due].map({ $0 <= now }) == true {
                clock.putOff(due, until: now.advanced(milliseconds: Self.putOffMilliseconds))
            }
        }
        switch clock.due(at: now) {
        case .handshake:
            clock.handshakeEnds = nil
            // Before the TLS handshake is complete no GOAWAY can be sent.
            close(
                .settingsTimeout,
                ConnectionFailure(
                    .timedOut, .handshakeMilliseconds, "no HTTP/2 within \(limits.handshakeMilliseconds) ms"))
        case .headers:
            clock.headersEnd = nil
            close(
                .enhanceYourCalm,
                ConnectionFailure(
                    .timedOut, .headersMilliseconds, "a header block took longer than \(limits.headersMilliseconds) ms")
            )
        case .stall:
            fail(
                ConnectionFailure(
                    .timedOut, .writeStallMilliseconds,
                    "the peer read nothing for \(limits.writeStallMilliseconds) ms while bytes waited"))
        case .keepalive:
            fail(
                ConnectionFailure(
                    .timedOut, .keepaliveTimeoutMilliseconds,
                    "the peer did not answer a PING within \(limits.keepaliveTimeoutMilliseconds) ms"))
        case .quiet:
            keepAlive()
        case .idle:
            clock.idleEnds = nil
            handler?.met(.idleMilliseconds)
            drain("max_idle")
        case .age:
            clock.ageEnds = nil
            drain("max_age")
            if limits.ageGraceMilliseconds > 0 {
                clock.ageGraceEnds = Monotonic.now().advanced(milliseconds: limits.ageGraceMilliseconds)
            }
        case .ageGrace:
            clock.ageGraceEnds = nil
            close(
                .noError,
                ConnectionFailure(
                    .closed, "the connection had reached its age, and \(limits.ageGraceMilliseconds) ms of grace"))
        case .drain:
            finishDrain()
        case .unread:
            endUnread()
        case .linger:
            close(.noError, ConnectionFailure(.closed, "the connection was drained"))
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

    /// Starts the keepalive deadline, and on a server the deadline for the connection's age.
    func beginAging() {
        let now = Monotonic.now()
        if limits.keepaliveMilliseconds > 0 {
            clock.quietEnds = now.advanced(milliseconds: limits.keepaliveMilliseconds)
        }
        if role == .server, limits.ageMilliseconds > 0 {
            // Connections made at the same time do not all end at the same time.
            let tenth = limits.ageMilliseconds / 10
            let age = UInt64.random(in: limits.ageMilliseconds - tenth...limits.ageMilliseconds + tenth)
            clock.ageEnds = now.advanced(milliseconds: age)
        }
        armTimer()
    }

    /// The keepalive deadline has passed: sends a PING if the peer was silent for so long, else waits again.
    private func keepAlive() {
        let now = Monotonic.now()
        let quietEnds = lastReceived.advanced(milliseconds: limits.keepaliveMilliseconds)
        guard quietEnds <= now else {
            clock.quietEnds = quietEnds
            return
        }
        guard role == .server || !streams.isEmpty else {
            clock.quietEnds = now.advanced(milliseconds: limits.keepaliveMilliseconds)
            return
        }
        clock.quietEnds = nil
        clock.keepaliveEnds = now.advanced(milliseconds: limits.keepaliveTimeoutMilliseconds)
        submitPing(.keepalive)
        scheduleFlush()
    }

    /// Any received byte shows that the peer is alive.
    func noteReceived() {
        lastReceived = .now()
        guard clock.keepaliveEnds != nil else { return }
        clock.keepaliveEnds = nil
        clock.quietEnds = lastReceived.advanced(milliseconds: limits.keepaliveMilliseconds)
        armTimer()
    }

    /// Sends a PING, whose answer may bring WINDOW_UPDATEs with it: a library that otherwise sends them only when half
    /// of a window was read sends them earlier together with another frame (gRPC's C core). At most one such PING is
    /// unanswered.
    func askForWindows() {
        guard life.isOpen, !awaitsWindows else { return }
        awaitsWindows = true
        submitPing(.window)
        scheduleFlush()
    }

    func submitPing(_ purpose: PingPurpose) {
        withUnsafeBytes(of: purpose.rawValue) { bytes in
            _ = nghttp2_submit_ping(
                session.pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue),
                bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
        }
    }
}

/// The purpose of a PING of ours, in its eight bytes, which its acknowledgement repeats.
enum PingPurpose: UInt64 {
    case drain = 1
    case keepalive
    /// WINDOW_UPDATEs that the peer has delayed may come with the acknowledgement.
    case window

    init?(_ bytes: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) {
        self.init(rawValue: withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: UInt64.self) })
    }
}
