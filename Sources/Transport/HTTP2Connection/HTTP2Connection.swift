internal import ByteBuffer
internal import CNghttp2
package import EventLoop
package import LinuxSystem
package import TLSSession

/// The owner of a connection, which is told of its streams. Every method is called on the loop.
@IOLoop
package protocol HTTP2ConnectionHandler: AnyObject {
    /// The peer's SETTINGS have come: it speaks HTTP/2.
    func opened(_ connection: HTTP2Connection)
    /// A request; only on a server. The stream's `handler` is to be set before this returns.
    func received(request: [HTTP2Header], tooLarge: Bool, on stream: HTTP2Stream, of connection: HTTP2Connection)
    /// The handler must call `goOnWithHandshake` when it is the connection's turn to take the next step of its TLS
    /// handshake; only on a server. Nothing is read before that. The default takes the step at once.
    func awaitHandshake(of connection: HTTP2Connection)
    /// Reading has cost so many steps (`WorkSteps`). Return false to read nothing more until `resumeReading`.
    func worked(_ steps: Int, for connection: HTTP2Connection) -> Bool
    /// The peer met a limit that does not end the connection; `closed` reports the others.
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
/// Owns both, and its streams. It lives on the loop from `start` until it closes. It may be closed from within one of
/// its callbacks, because it stays alive until the turn ends. What the streams append in one turn is written at the end
/// of that turn, in as few `send` calls as possible. RFC 9113.
@IOLoop
package final class HTTP2Connection {
    package enum Role: Sendable { case server, client }

    package let role: Role
    package let peer: SocketAddress
    /// The limits, which all connections of a server share.
    private let sharedLimits: HTTP2Limits.Shared
    var limits: HTTP2Limits { sharedLimits.values }
    let priority: LoopPriority
    /// Takes the socket for a while when the connection is over; nil: the socket is closed at once.
    private let closingSockets: ClosingSockets?
    var handler: (any HTTP2ConnectionHandler)?

    var transport: Transport
    let session: HTTP2Session
    var streams: [Int32: HTTP2Stream] = [:]

    /// Bytes that the socket has not accepted yet; bounded by `unsentBytesMax`, one frame, and frames without data.
    var unsent = ByteQueue()
    /// The bytes that its streams hold, updated with every change: behind a pointer, which spares each message the
    /// run-time checks of a class's properties. Proof: used on the loop only, but for `deinit`, which has the last
    /// reference.
    nonisolated(unsafe) let heldByStreams: UnsafeMutablePointer<Int>
    /// Bytes read from the socket that nghttp2 has not got yet, because the turn's steps were used; at most one read
    /// (`ReadSize`).
    var pendingInput = ByteQueue()
    var readSize = ReadSize()
    /// TLS may hold more, which epoll does not announce.
    var hasPendingRecords = false
    /// The steps left in this turn; below zero when work that cannot be split took more.
    package internal(set) var stepsLeft = 0
    var isTakingInput = false
    /// Whether the loop was asked to go on with the input.
    var isToGoOn = false
    /// The caller has used up its steps: nothing is read or processed before `resumeReading`.
    var isHeldUp = false
    /// The caller to which work is charged: connections with the same one share what the loop has for unfinished work.
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
    /// When bytes were last received.
    var lastReceived = Monotonic(nanoseconds: 0)
    var pings: PingStrikes
    var scanner: FrameScanner
    var flood: FloodBudget
    var headerBlocks: HeaderBlockFilter
    /// The order of a client's streams; a server's streams follow from it.
    var order: StreamOrder

    /// The state machine of the connection; what reading and writing wait for is in the properties above.
    var life: ConnectionLife
    /// A stream whose request was refused before its header block has ended.
    var answeredAhead: Int32?
    /// A PING of `askForWindows` has not been acknowledged.
    var awaitsWindows = false
    /// The reason in the peer's GOAWAY, if that named an error.
    var peerReason: String?

    /// The bytes received from the socket and sent to it.
    package internal(set) var bytesReceived: UInt64 = 0
    package internal(set) var bytesSent: UInt64 = 0

    /// Takes over a connected socket, or one that is being connected. Throws when TLS cannot be set up.
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

    /// The client's certificate, on a server that asks for one.
    package var peerCertificate: PeerCertificate? { transport.peerCertificate }

    package var openStreams: Int { streams.count }

    package var isClosed: Bool { life.isOver }
    /// The peer has shown that it speaks HTTP/2, and the connection does not end yet.
    package var isOpen: Bool { life.isOpen }
    /// Whether a client may begin a request.
    package var takesRequests: Bool { life.takesRequests }
    package var hasBegunHandshake: Bool { life.hasBegunHandshake }

    /// The bytes that its peer makes us keep: bytes that wait to be sent or parsed, header lists, and a fixed cost for
    /// each stream. For a header block that has begun, nghttp2 keeps what it decodes, which is at most twice as much,
    /// except for a field's end.
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
                // There is no peer to answer.
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
        // A peer that accepts no bytes is not read for ever, because the answers to its frames would pile up.
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
    /// Ends the connection at the end of this turn: bytes that are ready are sent first, then GOAWAY, as far as the
    /// socket accepts them at once. All its streams end with it.
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
        // The loop keeps it alive until the end of the turn, because a callback of nghttp2 may be on the stack.
        IOLoop.atTurnEnd(self)
        let lost = streams
        streams = [:]
        for (_, stream) in lost { forget(stream, .connectionLost(failure)) }
        let handler = self.handler
        self.handler = nil
        handler?.closed(self, failure)
    }

    /// Gives the peer time to read the last bytes, unless it is gone or has not accepted the bytes before.
    private func readOn(after failure: ConnectionFailure) {
        guard let closingSockets, failure.code != .lost, !isBlocked, unsent.isEmpty,
            let socket = try? transport.socket.duplicate()
        else { return }
        closingSockets.take(socket)
    }

    /// Ends a stream: drops every reference to it.
    func forget(_ stream: HTTP2Stream, _ end: HTTP2StreamEnd) {
        stream.leaveConnection()
        let handler = stream.handler
        stream.handler = nil
        handler?.ended(end)
    }

    /// Refuses new streams, lets open ones end, then closes (RFC 9113, section 6.8). Only on a server. The reason is
    /// for the peer's log. Before `opened` it does nothing; call it then.
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

    /// The streams that were under way when the notice was sent have come by now, or come in the bytes being read.
    func finishDrain() {
        clock.drainEnds = nil
        if life.noticeTaken() { scheduleFlush() }
    }

    /// Sends the final GOAWAY, with the last stream that is served. Only when it can be sent at once: a stream begun in
    /// between would be served here, and begun again elsewhere by a client that was told it is not.
    func sayLastStream(_ reason: String) {
        order.refuse(above: submitGoAway(.noError, debugData: reason))
        closeIfDone()
    }

    /// A call that has ended does not wait for ever for a client that does not read: its stream is reset when none of
    /// its bytes were taken between two checks.
    func endUnread() {
        for stream in streams.values where stream.output.pointee.hasStopped() {
            handler?.met(.drainUnreadMilliseconds)
            stream.reset(.cancel)
        }
        clock.unreadEnds = Monotonic.now().advanced(milliseconds: limits.drainUnreadMilliseconds)
    }

    /// After GOAWAY, the connection ends with its last stream.
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
