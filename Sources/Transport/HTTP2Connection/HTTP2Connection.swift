internal import ByteBuffer
internal import CNghttp2
package import EventLoop
package import LinuxSystem
package import TLSSession

/// Who owns a connection and hears of its streams. Everything is called on the loop.
@IOLoop
package protocol HTTP2ConnectionHandler: AnyObject {
    /// The peer's SETTINGS have come: it speaks HTTP/2.
    func opened(_ connection: HTTP2Connection)
    /// A request; only on a server. The stream's `handler` is to be set before this returns.
    func received(request: [HTTP2Header], tooLarge: Bool, on stream: HTTP2Stream, of connection: HTTP2Connection)
    /// The next step of a TLS handshake is to be taken, with `goOnWithHandshake`, when it is the connection's turn; only on
    /// a server. Nothing is read before. At once, unless the handler says otherwise.
    func awaitHandshake(of connection: HTTP2Connection)
    /// What was read has cost so many steps (`WorkSteps`). False: nothing more is read until `resumeReading`.
    func worked(_ steps: Int, for connection: HTTP2Connection) -> Bool
    /// The peer met a limit, and not one that ends the connection: `closed` tells of those.
    func met(_ limit: HTTP2Limits.Name)
    /// The last call; every stream has been told before.
    func closed(_ connection: HTTP2Connection, _ failure: ConnectionFailure)
}

extension HTTP2ConnectionHandler {
    package func awaitHandshake(of connection: HTTP2Connection) { connection.goOnWithHandshake() }

    package func worked(_ steps: Int, for connection: HTTP2Connection) -> Bool { true }
}

/// One HTTP/2 connection, server or client: one nghttp2 session on one socket.
///
/// Owns both, and its streams. On the loop it lives from `start` until it closes; whoever closes it from within one of
/// its callbacks may: it stays alive until the turn ends. What the streams append in one turn leaves in as few `send`
/// calls as possible at that turn's end. RFC 9113.
@IOLoop
package final class HTTP2Connection {
    package enum Role: Sendable { case server, client }

    package let role: Role
    package let peer: SocketAddress
    /// Its server's, which all its connections share, or its client's.
    private let sharedLimits: HTTP2Limits.Shared
    var limits: HTTP2Limits { sharedLimits.values }
    let priority: LoopPriority
    /// Where its socket goes for a while when the connection is over; nil: nowhere.
    private let closingSockets: ClosingSockets?
    var handler: (any HTTP2ConnectionHandler)?

    var transport: Transport
    let session: HTTP2Session
    var streams: [Int32: HTTP2Stream] = [:]

    /// What the socket did not take yet; bounded by `unsentBytesMax` and one frame, and frames without data.
    var unsent = ByteQueue()
    /// What its streams hold, kept up to date where that changes: behind a pointer, which spares each message the run-time
    /// checks of a class's properties. Proof: used on the loop only, but for `deinit`, which has the last reference.
    nonisolated(unsafe) let heldByStreams: UnsafeMutablePointer<Int>
    /// What the socket gave and nghttp2 did not get yet, because the turn's steps were used; at most one read buffer.
    var pendingInput = ByteQueue()
    /// TLS may hold more, which epoll does not announce.
    var hasPendingRecords = false
    /// Steps of the turn that are not used; below zero when what could not be cut took more.
    package internal(set) var stepsLeft = 0
    var isTakingInput = false
    /// The loop was asked to go on with the input.
    var isToGoOn = false
    /// Whoever the work is done for has used up its steps: nothing is read, and nothing goes on, before `resumeReading`.
    var isHeldUp = false
    /// Whoever the work is done for: connections with the same one share what the loop has for unfinished work.
    package var workSource: AnyHashable?

    var isBlocked = false
    /// More waits to be sent than one turn may send.
    var hasMoreToSend = false
    var isFlushScheduled = false
    var drainedStreams: [HTTP2Stream] = []

    var watch: Watch?
    var interest: Readiness = .readable
    var timer: Timer?
    var timerMoment = Monotonic(nanoseconds: 0)
    var clock = ConnectionClock()
    /// When the socket last gave something.
    var lastReceived = Monotonic(nanoseconds: 0)
    var pings: PingStrikes
    var scanner: FrameScanner
    var flood: FloodBudget
    var headerBlocks: HeaderBlockFilter
    /// Of a client's streams; a server's follow from them.
    var order: StreamOrder

    /// What has become of the connection so far; what reading and writing wait for stands above.
    var life: ConnectionLife
    /// A stream whose request was refused before its header block has ended.
    var answeredAhead: Int32?
    /// A PING of `askForWindows` has not been acknowledged.
    var awaitsWindows = false
    /// What the peer's GOAWAY said, if it named an error.
    var peerReason: String?

    /// Bytes that the socket gave and took.
    package internal(set) var bytesReceived: UInt64 = 0
    package internal(set) var bytesSent: UInt64 = 0

    /// Takes a connected socket, or one that is being connected. Throws when TLS cannot be set up.
    package init(
        _ role: Role, socket: consuming Descriptor, tls: TLSContext?, peer: SocketAddress, limits: HTTP2Limits.Shared,
        priority: LoopPriority = .usual, closingSockets: ClosingSockets? = nil, isConnecting: Bool = false
    ) throws(ConnectionFailure) {
        self.role = role
        self.peer = peer
        sharedLimits = limits
        let limits = limits.values
        self.priority = priority
        self.closingSockets = closingSockets
        life = ConnectionLife(
            role, isConnecting: isConnecting, hasTLS: tls != nil, mayLinger: limits.drainLingerMilliseconds > 0)
        heldByStreams = .allocate(capacity: 1)
        heldByStreams.initialize(to: 0)
        scanner = FrameScanner(expectsPreface: role == .server)
        flood = FloodBudget(limits)
        headerBlocks = HeaderBlockFilter(expectsPreface: role == .server)
        pings = PingStrikes(limits)
        order = StreamOrder(abandonedMax: Int(limits.concurrentStreamsMax))
        transport = Transport(socket: socket, tls: tls)
        session = HTTP2Session(isServer: role == .server, limits: limits)
        session.setContext(Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { heldByStreams.deallocate() }

    /// Whom the client's certificate names, on a server that asks for one.
    package var peerCertificate: PeerCertificate? { transport.peerCertificate }

    package var openStreams: Int { streams.count }

    package var isClosed: Bool { life.isOver }
    /// The peer has shown that it speaks HTTP/2, and the connection does not end yet.
    package var isOpen: Bool { life.isOpen }
    /// Whether a client may begin a request.
    package var takesRequests: Bool { life.takesRequests }
    package var hasBegunHandshake: Bool { life.hasBegunHandshake }

    /// What its peer makes us keep, in bytes: what waits to be sent or looked at, header lists, and what a stream costs as such. Of a
    /// header block that has begun nghttp2 keeps what it decodes, which is at most twice as much, all but a field's end.
    package var heldBytes: Int {
        heldByStreams.pointee + unsent.count + pendingInput.count + 2 * headerBlocks.blockBytes
    }

    func noteHeld(_ change: Int) { heldByStreams.pointee += change }

    /// Begins to serve or to connect; `handler` is kept until the connection closes.
    package func start(_ handler: any HTTP2ConnectionHandler) throws(ConnectionFailure) {
        self.handler = handler
        interest = life.isConnecting ? .writable : .readable
        do throws(LinuxError) {
            watch = try IOLoop.watch(transport.socket, interest, priority, handler: self)
        } catch {
            self.handler = nil
            throw ConnectionFailure(.lost, error.description)
        }
        session.announce(isServer: role == .server, limits: limits)
        let now = Monotonic.now()
        clock.handshakeEnds = now.advanced(milliseconds: limits.handshakeMilliseconds)
        armTimer()
        scheduleFlush()
    }
}

extension HTTP2Connection: ReadinessHandler {
    package func ready(_ readiness: Readiness) {
        do throws(ConnectionFailure) {
            if life.isConnecting { try finishConnecting() }
            switch life.socketReady(isBroken: readiness.hasAny(of: .broken)) {
            case .carry: break
            case .shakeHands: guard try stepInHandshake() else { return }
            case .standInLine:
                setInterest([])
                handler?.awaitHandshake(of: self)
                return
            case .lost:
                throw ConnectionFailure(.lost, "the peer closed the connection in the middle of the TLS handshake")
            case .nothing: return
            }
            if readiness.contains(.error), role == .server, hasUnfinishedInput {
                // Nobody is there to be answered.
                throw ConnectionFailure(.lost, "the peer closed the connection")
            }
            if readiness.hasAny(of: .input), life.takesInput { try read() }
            if readiness.contains(.writable), !isClosed {
                isBlocked = false
                flush()
            }
        } catch {
            fail(error)
        }
    }

    private func finishConnecting() throws(ConnectionFailure) {
        let code = Socket.pendingError(transport.socket)
        guard code == 0 else {
            throw ConnectionFailure(.unreachable, LinuxError(code: code, operation: "connect to \(peer)").description)
        }
        life.connected()
        Socket.setNoDelay(transport.socket)
        updateInterest()
        scheduleFlush()
    }

    /// Takes the next step of the TLS handshake.
    package func goOnWithHandshake() {
        guard life.turnCame() else { return }
        do throws(ConnectionFailure) {
            if try stepInHandshake() { try read() }
        } catch {
            fail(error)
        }
    }

    /// Whether TLS can carry bytes.
    private func stepInHandshake() throws(ConnectionFailure) -> Bool {
        if let wanted = try transport.handshake() {
            setInterest(wanted)
            return false
        }
        life.secured()
        setInterest(.readable)
        scheduleFlush()
        return true
    }

    func updateInterest() {
        guard life.carriesBytes else { return }
        var isToRead = false
        // A peer that takes nothing is not listened to for ever: what it asks for would pile up.
        if !isHeldUp, !isBlocked || session.queuedFrames <= limits.queuedFramesMax {
            if hasUnfinishedInput { askToGoOn() } else { isToRead = true }
        }
        setInterest(Readiness(readable: isToRead, writable: isBlocked || hasMoreToSend))
    }

    private func askToGoOn() {
        guard !isToGoOn, life.takesInput else { return }
        isToGoOn = true
        IOLoop.goOnLater(self, of: workSource, priority)
    }

    private func setInterest(_ wanted: Readiness) {
        guard wanted != interest else { return }
        interest = wanted
        watch?.setInterest(wanted)
    }
}

extension HTTP2Connection {
    /// Ends the connection at this turn's end: what is ready to be sent leaves first, then GOAWAY, as far as the socket
    /// takes it at once. All its streams end with it.
    package func close(
        _ code: HTTP2ErrorCode = .noError,
        _ failure: ConnectionFailure = ConnectionFailure(.closed, "the connection was closed")
    ) {
        end(Ending(code: code, failure: failure))
    }

    func end(_ ending: Ending) {
        if life.end(ending) { scheduleFlush() }
    }

    /// Sends GOAWAY (RFC 9113, section 6.8); it covers the streams that were seen so far, the last of which it returns.
    @discardableResult
    func submitGoAway(_ code: HTTP2ErrorCode, debugData: String) -> Int32 {
        let last = nghttp2_session_get_last_proc_stream_id(session.pointer)
        var text = debugData
        text.withUTF8 { text in
            _ = nghttp2_submit_goaway(
                session.pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, text.baseAddress, text.count)
        }
        return last
    }

    /// The connection is over: tells every stream and the handler.
    func fail(_ failure: ConnectionFailure) {
        let hasCarriedBytes = life.carriesBytes
        guard life.ended() else { return }
        watch?.unwatch()
        watch = nil
        timer?.cancel()
        timer = nil
        transport.finish()
        if hasCarriedBytes { readOn(after: failure) }
        if !isTakingInput { pendingInput.removeAll() }
        // Parked until the turn's end: a callback of nghttp2 may be on the stack.
        IOLoop.atTurnEnd(self)
        let lost = streams
        streams = [:]
        for (_, stream) in lost { forget(stream, .connectionLost(failure)) }
        let handler = self.handler
        self.handler = nil
        handler?.closed(self, failure)
    }

    /// Lets the peer read what was said last, unless it is gone or has not taken what was said before.
    private func readOn(after failure: ConnectionFailure) {
        guard let closingSockets, failure.code != .lost, !isBlocked, unsent.isEmpty,
            let socket = try? transport.socket.duplicate()
        else { return }
        closingSockets.take(socket)
    }

    /// A stream's last moment: it lets go of everything that points back to it.
    func forget(_ stream: HTTP2Stream, _ end: HTTP2StreamEnd) {
        stream.leaveConnection()
        let handler = stream.handler
        stream.handler = nil
        handler?.ended(end)
    }

    /// Takes no new streams, lets those that are open end, then closes (RFC 9113, section 6.8). Only on a server. The
    /// reason is for the peer's log. Before `opened` it does nothing: that is the time to ask for it.
    package func drain(_ reason: String) {
        let step = life.drain(reason)
        guard step != .nothing else { return }
        let now = Monotonic.now()
        if step == .giveNotice {
            nghttp2_submit_shutdown_notice(session.pointer)
            submitPing(.drain)
            clock.drainEnds = now.advanced(milliseconds: limits.drainNoticeMilliseconds)
        }
        clock.unreadEnds = now.advanced(milliseconds: limits.drainUnreadMilliseconds)
        armTimer()
        scheduleFlush()
    }

    /// The streams that were under way when the notice left have come by now, or come in what is being read.
    func finishDrain() {
        clock.drainEnds = nil
        if life.noticeTaken() { scheduleFlush() }
    }

    /// Says which stream is the last that is served. Only when it leaves at once: what is begun in between would be served,
    /// and begun again elsewhere by a client that was told that it is not.
    func sayLastStream(_ reason: String) {
        order.refuse(above: submitGoAway(.noError, debugData: reason))
        closeIfDone()
    }

    /// Whoever has ended its call does not wait for ever for a client that does not read: such a call ends when nothing of
    /// it was taken between two looks.
    func endUnread() {
        for stream in streams.values where stream.output.pointee.hasStopped() {
            handler?.met(.drainUnreadMilliseconds)
            stream.reset(.cancel)
        }
        clock.unreadEnds = Monotonic.now().advanced(milliseconds: limits.drainUnreadMilliseconds)
    }

    /// After GOAWAY, the last stream's end is the connection's.
    func closeIfDone() {
        guard streams.isEmpty else { return }
        switch life.hasNoStreams() {
        case .nothing: break
        case .close: close(.noError, ConnectionFailure(.closed, "the connection was drained"))
        case .linger:
            clock.lingerEnds = Monotonic.now().advanced(milliseconds: limits.drainLingerMilliseconds)
            armTimer()
        }
    }
}
