internal import CNghttp2
internal import EventLoop
internal import LinuxSystem

extension HTTP2Connection {
    /// How long a peer is not held to what it may have sent already.
    private static let putOffMilliseconds: UInt64 = 1_000

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
            // Where TLS is not done there is no GOAWAY.
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

    /// Begins to watch over the peer's silence, and over a server's connection's age.
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

    /// The peer may have been silent for long: sends it a PING if it has, and looks again later if not.
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

    /// Anything that came says that the peer is there.
    func noteReceived() {
        lastReceived = .now()
        guard clock.keepaliveEnds != nil else { return }
        clock.keepaliveEnds = nil
        clock.quietEnds = lastReceived.advanced(milliseconds: limits.keepaliveMilliseconds)
        armTimer()
    }

    /// Has the peer send something, with which it says what of its streams has been read. A library that widens a window
    /// only when half of it was read does so earlier when it has a frame to send in any case (gRPC's C core). One at a time.
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

/// What a PING of ours is for, in its eight bytes, which come back with its acknowledgement.
enum PingPurpose: UInt64 {
    case drain = 1
    case keepalive
    /// What the peer has read and not told yet may come with its acknowledgement.
    case window

    init?(_ bytes: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) {
        self.init(rawValue: withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: UInt64.self) })
    }
}
