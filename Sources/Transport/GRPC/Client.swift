package import EventLoop
internal import HTTP2Connection
package import LinuxSystem
package import TLSSession

/// How a client protects what it sends and receives.
package enum ClientSecurity: Sendable {
    /// Without protection: for loopback and Unix sockets.
    case plaintext
    /// TLS 1.3 with ALPN h2.
    case tls(ClientTLS)
}

/// A gRPC client: many calls, on one connection at a time.
///
/// The first call connects, and so does the first one after the connection was lost, or after the server has sent GOAWAY: the
/// calls that it has taken go on to their ends on the old connection. A call that the server has certainly not taken is begun
/// once more by itself. `ChannelState` decides.
///
/// Used on the loop, which owns its connections; close it when it is no longer needed. Bounded by its `Limits`.
@IOLoop
package final class Client {
    package nonisolated let address: SocketAddress
    package nonisolated let limits: Limits
    /// Nil: it has the socket that it was given, and makes no other.
    private nonisolated let security: ClientSecurity?
    private let scheme: String
    private let authority: String
    private var state: ChannelState
    /// The one that is being made, or on which calls begin; nil once it has closed, so that its descriptor closes too.
    private var connection: HTTP2Connection?
    /// Those that take no new calls.
    private var leaving: [HTTP2Connection] = []
    /// Calls that wait for a connection, the first one first; some may be over.
    private var waiting: [ClientCall] = []
    private var openings: [CheckedContinuation<Void, any Error>] = []
    private var closedBytes: (received: UInt64, sent: UInt64) = (0, 0)

    /// On this machine an attempt costs little, and a server that is started again is back soon.
    private static let localBackoff = ConnectionBackoff(firstMilliseconds: 50)

    /// Connects with the first call, and again when the connection is lost.
    package init(to address: SocketAddress, security: ClientSecurity = .plaintext, limits: Limits = .client) {
        self.address = address
        self.limits = limits
        self.security = security
        if case .tls = security { scheme = "https" } else { scheme = "http" }
        authority = Self.authority(of: address, security)
        state = ChannelState(address.isLocal ? Self.localBackoff : ConnectionBackoff())
    }

    /// A client that has connected: it waits until the server has shown that it speaks HTTP/2. Throws `Status` UNAVAILABLE
    /// with the reason.
    package nonisolated static func connect(
        to address: SocketAddress, security: ClientSecurity = .plaintext, limits: Limits = .client,
        timeoutMilliseconds: UInt64 = 10_000
    ) async throws -> Client {
        var limits = limits
        limits.http2.handshakeMilliseconds = timeoutMilliseconds
        let client = await Client(to: address, security: security, limits: limits)
        try await client.open()
        return client
    }

    /// A client on a socket that is connected already, such as one that a process was started with: it has no other, so once
    /// that is lost its calls fail. Otherwise as `connect`.
    package nonisolated static func connect(
        over socket: consuming Descriptor, limits: Limits = .client, timeoutMilliseconds: UInt64 = 10_000
    ) async throws -> Client {
        var limits = limits
        limits.http2.handshakeMilliseconds = timeoutMilliseconds
        do throws(LinuxError) {
            try Descriptor.setNonblocking(socket.raw)
        } catch {
            throw Status(.unavailable, "cannot speak to the server at the given socket: \(error)")
        }
        let client = await Client(over: socket, limits: limits)
        try await client.open()
        return client
    }

    private init(over socket: consuming Descriptor, limits: Limits) {
        address = .unix(path: "")
        self.limits = limits
        security = nil
        scheme = "http"
        authority = "localhost"
        state = ChannelState(connectedAt: .now())
        begin(on: socket, nil)
    }

    /// The `:authority` of requests: the server name that the certificate is checked for, if one is given, else the
    /// host of the address.
    nonisolated static func authority(of address: SocketAddress, _ security: ClientSecurity) -> String {
        if case .tls(let trust) = security, let name = trust.serverName { return name }
        guard case .internet(_, let port) = address, let host = address.hostWithoutInterface else { return "localhost" }
        return SocketAddress.internet(host: host, port: port).description
    }

    /// Whether there is a connection on which new calls can begin at once.
    package var isOpen: Bool { connection?.takesRequests ?? false }

    package var bytesReceived: UInt64 { sum(closedBytes.received) { $0.bytesReceived } }
    package var bytesSent: UInt64 { sum(closedBytes.sent) { $0.bytesSent } }

    private func sum(_ closed: UInt64, _ bytes: (HTTP2Connection) -> UInt64) -> UInt64 {
        leaving.reduce(closed + (connection.map(bytes) ?? 0)) { $0 + bytes($1) }
    }

    /// Ends every call UNAVAILABLE and closes the connections. It makes no others.
    package func close() { close("the client was closed") }

    private func close(_ reason: String) {
        state.close(reason)
        connection?.close()
        for connection in leaving { connection.close() }
        failWaiting(reason) { _ in true }
    }
}

// MARK: - Calls

extension Client {
    /// Begins a call; its handler is told of the end even when the connection is closed. This is the low-level
    /// interface: it creates no task.
    package func start(
        _ path: String, options: CallOptions = CallOptions(), handler: any ClientCallHandler
    ) -> ClientCall {
        let call = ClientCall(path, options, of: self, handler: handler)
        call.start()
        place(call)
        return call
    }

    /// Begins a call on the connection, or has it wait for one. Its handler is not called from within.
    func place(_ call: ClientCall) {
        if let connection, state.phase == .open, !connection.takesRequests {
            leaving.append(connection)
            self.connection = nil
            state.left("the server takes no more calls on this connection")
        }
        let (verdict, action) = state.callCame(waits: call.waitsForReady, at: .now())
        switch verdict {
        case .send:
            if let connection, call.begin(on: connection, headers(of: call)) { break }
            call.failLater(Status(.unavailable, "the connection takes no more calls"))
        case .wait:
            waiting.removeAll(where: \.isOver)
            waiting.append(call)
        case .fail(let reason): call.failLater(Status(.unavailable, reason))
        }
        perform(action)
    }

    /// Why there is no connection, in words for a call that has waited for too long.
    var reasonOfWait: String { state.reason ?? "the connection to \(address) is not made yet" }

    private func headers(of call: ClientCall) -> [HTTP2Header] {
        var headers = [
            HTTP2Header(":method", "POST"), HTTP2Header(":scheme", scheme), HTTP2Header(":path", call.path),
            HTTP2Header(":authority", authority), HTTP2Header("te", "trailers"),
            HTTP2Header("content-type", "application/grpc"), HTTP2Header("user-agent", "hearth-grpc"),
        ]
        headers.append(HTTP2Header("grpc-accept-encoding", MessageEncoding.accepted))
        if call.options.encoding != .identity {
            headers.append(HTTP2Header("grpc-encoding", call.options.encoding.rawValue))
        }
        if let deadline = call.deadline {
            // Up to whole milliseconds, which is what the caller gave.
            let left = Monotonic(nanoseconds: 0).advanced(milliseconds: deadline.since(.now()) / 1_000_000 + 1)
            headers.append(HTTP2Header("grpc-timeout", CallTimeout.encode(nanoseconds: left.nanoseconds)))
        }
        return headers + call.options.metadata.headers
    }

    private func failWaiting(_ reason: String, where isToFail: (ClientCall) -> Bool) {
        let failed = waiting.filter { isToFail($0) && !$0.isOver }
        waiting.removeAll { isToFail($0) || $0.isOver }
        let openings = self.openings
        self.openings = []
        for opening in openings { opening.resume(throwing: Status(.unavailable, reason)) }
        for call in failed { call.fail(Status(.unavailable, reason)) }
    }
}

// MARK: - Connections

extension Client {
    /// Connects, if there is no connection; throws UNAVAILABLE with the reason, and closes the client then.
    private func open() async throws {
        do {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { opening in
                    let (verdict, action) = state.callCame(waits: false, at: .now())
                    switch verdict {
                    case .send: opening.resume()
                    case .wait: openings.append(opening)
                    case .fail(let reason): opening.resume(throwing: Status(.unavailable, reason))
                    }
                    perform(action)
                }
            } onCancel: {
                Task { @IOLoop in self.close() }
            }
        } catch {
            close(Status(describing: error).message)
            throw error
        }
    }

    private func perform(_ action: ChannelState.Action?) {
        switch action {
        case .dial: dial()
        case .pause(let milliseconds):
            IOLoop.schedule(afterMilliseconds: milliseconds) { [weak self] in
                guard let self else { return }
                perform(state.pauseEnded(hasWaiting: waiting.contains { !$0.isOver }, at: .now()))
            }
        case nil: break
        }
    }

    /// What a new connection is made with: a socket that connects, whose owner the receiver is, and TLS.
    private struct Reached: Sendable {
        let socket: CInt
        let tls: TLSContext?
    }

    /// Looks up the host and reads what TLS needs on a thread of its own, because both may take long.
    private func dial() {
        guard let security else { return }
        let (address, limits) = (address, limits)
        do throws(LinuxError) {
            try DetachedThread.run {
                let result = Result { try Self.reach(address, security, limits) }
                Task { @IOLoop in self.reached(result) }
            }
        } catch {
            // The system has no room for a thread; the state must not change before the call that asked is waiting.
            IOLoop.schedule(afterMilliseconds: 0) { self.failed(error.description) }
        }
    }

    private nonisolated static func reach(
        _ address: SocketAddress, _ security: ClientSecurity, _ limits: Limits
    ) throws -> Reached {
        let tls: TLSContext? =
            switch security {
            case .plaintext: nil
            case .tls(let trust): try TLSContext(client: trust, host: address.hostWithoutInterface)
            }
        let socket = try Socket.connect(to: address)
        Socket.setLostPeerTimeout(socket, seconds: limits.lostPeerSeconds)
        return Reached(socket: socket.release(), tls: tls)
    }

    private func reached(_ result: Result<Reached, any Error>) {
        switch result {
        case .success(let reached): begin(on: Descriptor(owning: reached.socket), reached.tls)
        case .failure(let error): failed("\(error)")
        }
    }

    private func begin(on socket: consuming Descriptor, _ tls: TLSContext?) {
        // It may have been closed meanwhile.
        guard state.isConnecting else { return }
        do throws(ConnectionFailure) {
            let made = try HTTP2Connection(
                .client, socket: socket, tls: tls, peer: address, limits: HTTP2Limits.Shared(limits.http2),
                isConnecting: true)
            connection = made
            try made.start(self)
        } catch {
            connection = nil
            failed(error.description)
        }
    }

    private func failed(_ why: String) {
        let reason =
            security == nil
            ? "cannot speak to the server at the given socket: \(why)" : "cannot connect to \(address): \(why)"
        let hasWaiting = waiting.contains { $0.waitsForReady && !$0.isOver }
        let action = state.failed(reason, hasWaiting: hasWaiting, chance: .random(in: -1...1), at: .now())
        let isOver = security == nil
        failWaiting(reason) { isOver || !$0.waitsForReady }
        perform(action)
    }
}

extension Client: HTTP2ConnectionHandler {
    func opened(_ connection: HTTP2Connection) {
        guard connection === self.connection, state.opened() else { return }
        let (openings, calls) = (openings, waiting)
        (self.openings, waiting) = ([], [])
        for opening in openings { opening.resume() }
        for call in calls where !call.isOver { place(call) }
    }

    func received(
        request: [HTTP2Header], tooLarge: Bool, on stream: HTTP2Stream, of connection: HTTP2Connection
    ) {}

    func met(_ limit: HTTP2Limits.Name) {}

    func closed(_ connection: HTTP2Connection, _ failure: ConnectionFailure) {
        closedBytes.received += connection.bytesReceived
        closedBytes.sent += connection.bytesSent
        guard connection === self.connection else { return leaving.removeAll { $0 === connection } }
        self.connection = nil
        if state.isConnecting {
            failed(failure.description)
        } else {
            state.left("the connection was lost: \(failure)")
        }
    }
}
