package import EventLoop
internal import HTTP2Connection
package import LinuxSystem
package import TLSSession

/// How a server protects what it sends and receives.
package enum ServerSecurity: Sendable {
    /// Without protection: for loopback and Unix sockets.
    case plaintext
    /// TLS 1.3 with ALPN h2.
    case tls(ServerTLS)
}

/// A gRPC server: listeners, their connections, and the services that answer.
///
/// Used on the loop, which owns all its connections. Bounded by its `Limits`.
@IOLoop
package final class Server {
    package let limits: Limits
    /// Whether its listeners and connections are served before others in each turn of the loop.
    let priority: LoopPriority

    private var services: [String: any Service] = [:]
    private var listeners: [Listener] = []
    private var tlsOfListeners: [ListenerTLS] = []
    /// The connections that have not closed, by identity.
    private(set) var connections: [ObjectIdentifier: ServerConnection] = [:]
    private var calls: [ObjectIdentifier: ServerCall] = [:]
    private var closedBytesReceived: UInt64 = 0
    private var closedBytesSent: UInt64 = 0
    private var drainWaiters: [CheckedContinuation<Void, Never>] = []
    /// Why it drains; nil while it does not.
    private(set) var drainReason: String?
    private let closingSockets: ClosingSockets
    private var limitsOfConnections: HTTP2Limits.Shared
    var defence = ServerDefence()
    var work: ServerWork
    var handshakes: ServerHandshakes

    /// Calls begun since the server was made.
    package private(set) var callsBegun: UInt64 = 0
    /// Connections accepted since the server was made, and those refused at `connectionsMax`.
    package private(set) var connectionsAccepted: UInt64 = 0
    package private(set) var connectionsRefused: UInt64 = 0
    /// How often each limit was met since the server was made, by the limit's name; one that never was is absent.
    package internal(set) var limitsMet: [String: UInt64] = [:]
    /// Called for connections that failed; for a log. The text holds no secrets, and names the limit that was met, if
    /// any. At most `toldFailuresPerSecondMax` calls a second.
    package var onConnectionFailure: (@IOLoop (SocketAddress, String) -> Void)?

    package init(limits: Limits = Limits(), priority: LoopPriority = .usual) {
        self.limits = limits
        self.priority = priority
        work = ServerWork(limits)
        closingSockets = ClosingSockets(limits.http2)
        limitsOfConnections = HTTP2Limits.Shared(limits.http2)
        handshakes = ServerHandshakes(limits)
        defence.toldFailures = Allowance(atOnce: limits.toldFailuresPerSecondMax)
        defence.decompression = Allowance(atOnce: limits.decompressedBytesPerSecondTotalMax)
    }

    package var openConnections: Int { connections.count }
    package var openCalls: Int { calls.count }
    package var bytesReceived: UInt64 {
        connections.values.reduce(closedBytesReceived) { $0 &+ ($1.http2?.bytesReceived ?? 0) }
    }
    package var bytesSent: UInt64 { connections.values.reduce(closedBytesSent) { $0 &+ ($1.http2?.bytesSent ?? 0) } }

    /// Serves this service from now on, in place of one with the same name.
    package func register(_ service: any Service) { services[service.name] = service }

    /// What answers its open calls, in no order.
    package var handlers: [any CallHandler] { calls.values.compactMap(\.openHandler) }

    /// The services that it serves, in no order.
    package var serviceNames: [String] { Array(services.keys) }

    /// Begins to accept, as `bind` and `startListening` do.
    @discardableResult
    package func listen(
        on address: SocketAddress, security: ServerSecurity = .plaintext, gate: (any CallGate)? = nil
    ) throws -> SocketAddress {
        let bound = try bind(to: address, security: security, gate: gate)
        try startListening()
        return bound
    }

    /// Binds an address, to which no client can connect before `startListening`; returns it with the port that the
    /// kernel chose. Throws `LinuxError` or `TLSError` with the address or the file that cannot be used. Every call on
    /// it must pass the gate, if there is one. `inherited`: the socket of this address, which another process has bound.
    package func bind(
        to address: SocketAddress, security: ServerSecurity = .plaintext, gate: (any CallGate)? = nil,
        inherited: consuming BoundSocket? = nil
    ) throws -> SocketAddress {
        let tls: ListenerTLS? =
            switch security {
            case .plaintext: nil
            case .tls(let files): try ListenerTLS(files)
            }
        let listener = try Listener(
            on: address, inherited: inherited, limits: limits, priority: priority
        ) { [weak self] socket, peer in
            self?.accepted(socket, tls: tls?.context, peer: peer, gate: gate)
        }
        listeners.append(listener)
        if let tls { tlsOfListeners.append(tls) }
        return listener.address
    }

    /// Serves a client on a socket that is connected already, as a listener does; the socket must not block.
    package func serve(_ socket: consuming Descriptor, gate: (any CallGate)? = nil) {
        let peer = Socket.peer(of: socket.raw, listener: .unix(path: ""))
        accepted(socket, tls: nil, peer: peer, gate: gate)
    }

    /// The sockets of its addresses, each with the address that was asked for, for another process.
    package func shareListeners(_ body: (SocketAddress, consuming BoundSocket) throws -> Void) throws {
        for listener in listeners { try body(listener.asked, listener.share()) }
    }

    /// Accepts no more: another process, which has the sockets, does. The addresses stay as they are.
    package func leaveListeners() {
        for listener in listeners { listener.leave() }
        listeners.removeAll()
    }

    /// Accepts on every bound address.
    package func startListening() throws(LinuxError) {
        for listener in listeners { try listener.start() }
    }

    /// The TLS files of its listeners.
    package var tlsFiles: Set<ServerTLS> { Set(tlsOfListeners.map { $0.files }) }

    /// Uses these contexts, which were read on another thread, for new connections; existing connections keep theirs.
    package func replaceTLS(_ contexts: [ServerTLS: TLSContext]) {
        for tls in tlsOfListeners {
            if let context = contexts[tls.files] { tls.context = context }
        }
    }

    /// Connections that are opened from now on live for the times of these limits; those that are open keep theirs.
    package func limitNewConnections(_ limits: Limits) { limitsOfConnections = HTTP2Limits.Shared(limits.http2) }

    /// The connections that come through this gate take no new calls, and close after their open ones.
    package func drain(through gate: any CallGate, _ reason: String) {
        for connection in connections.values where connection.gate === gate { connection.http2?.drain(reason) }
    }

    /// Accepts no more, gives open calls at most `graceMilliseconds` to end, then ends them UNAVAILABLE and closes.
    package func drain(graceMilliseconds: UInt64) async {
        closeListeners()
        // These connections have no calls, and an unfinished handshake is not waited for.
        for connection in connections.values {
            if let http2 = connection.http2, !http2.isOpen { http2.close() }
        }
        await drain("the server is shutting down", graceMilliseconds: graceMilliseconds)
    }

    /// Drains like `drain`, after `leaveListeners`.
    package func handOver(graceMilliseconds: UInt64) async {
        await drain("the server hands over to its successor", graceMilliseconds: graceMilliseconds)
    }

    private func drain(_ reason: String, graceMilliseconds: UInt64) async {
        drainReason = reason
        for connection in connections.values { connection.http2?.drain(reason) }
        let timer = IOLoop.schedule(afterMilliseconds: graceMilliseconds) { [weak self] in self?.close() }
        if !isDrained { await withCheckedContinuation { drainWaiters.append($0) } }
        timer.cancel()
    }

    private var isDrained: Bool { drainReason != nil && connections.isEmpty && listeners.isEmpty }

    private func endDrainIfDone() {
        guard isDrained else { return }
        let waiters = drainWaiters
        drainWaiters.removeAll()
        for waiter in waiters { waiter.resume() }
    }

    /// Ends every call UNAVAILABLE, and every connection.
    package func close() {
        closeListeners()
        for call in calls.values { call.abort(Status(.unavailable, "the server is shutting down")) }
        for connection in connections.values { connection.http2?.close() }
    }

    private func closeListeners() {
        for listener in listeners { listener.close() }
        listeners.removeAll()
    }
}

extension Server {
    private func accepted(
        _ socket: consuming Descriptor, tls: TLSContext?, peer: SocketAddress, gate: (any CallGate)?
    ) {
        guard hasRoom() else {
            connectionsRefused += 1
            return  // The descriptor closes here.
        }
        let caller = CallerID.origin(Socket.origin(of: socket.raw))
        do throws(ConnectionFailure) {
            let http2 = try HTTP2Connection(
                .server, socket: socket, tls: tls, peer: peer, limits: limitsOfConnections, priority: priority,
                closingSockets: closingSockets)
            http2.workSource = caller
            let connection = ServerConnection(
                http2, of: self, gate: gate, account: ConnectionAccount(limits, of: caller, at: .now()))
            try http2.start(connection)
            connectionsAccepted += 1
            connections[ObjectIdentifier(connection)] = connection
            watchHeldBytes()
        } catch {
            tell(peer, error)
        }
    }

    /// A connection has closed; its calls have ended before.
    func closed(_ connection: ServerConnection, _ http2: HTTP2Connection, _ failure: ConnectionFailure) {
        noteGone(connection)
        connections[ObjectIdentifier(connection)] = nil
        stopHoldingUp(connection)
        leaveHandshakeLine(connection)
        if let limit = failure.limit { noteLimit(limit.rawValue) }
        closedBytesReceived &+= http2.bytesReceived
        closedBytesSent &+= http2.bytesSent
        switch failure.code {
        case .closed, .lost: break
        default: tell(http2.peer, failure)
        }
        endDrainIfDone()
    }

    func method(for head: RequestHead) throws(RequestHead.Rejection) -> Method {
        guard let service = services[head.service] else {
            throw .status(Status(.unimplemented, "this server has no service '\(head.service)'"))
        }
        guard let method = service.method(head.method) else {
            throw .status(Status(.unimplemented, "the service '\(head.service)' has no method '\(head.method)'"))
        }
        return method
    }

    func reject(_ stream: HTTP2Stream, _ rejection: RequestHead.Rejection) {
        switch rejection {
        case .status(let status):
            noteLimit(of: status)
            stream.respond(ResponseHead.accepted + ResponseHead.trailers(status, Metadata(), limits: limits), end: true)
        case .http(let code, let text):
            stream.handler = RefusedRequest(
                stream, status: code, text: text, waitMilliseconds: limits.refusedBodyMilliseconds)
        }
    }
}

extension Server {
    func callBegan(_ call: ServerCall) {
        callsBegun += 1
        calls[ObjectIdentifier(call)] = call
    }

    func callEnded(_ call: ServerCall) {
        calls[ObjectIdentifier(call)] = nil
        if call.keepsConnection, call.hasAsked { call.connection.account.keepingCallEnded(at: .now()) }
    }

    /// The call's first message has come.
    func callAsked(_ call: ServerCall) {
        if call.keepsConnection { call.connection.account.keepingCallBegan() }
    }
}
