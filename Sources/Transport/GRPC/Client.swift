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

/// A gRPC client: one connection, many calls on it. It does not connect again by itself.
///
/// Used on the loop, which owns its connection; close it when it is no longer needed. Bounded by its `Limits`.
@IOLoop
package final class Client {
    package nonisolated let address: SocketAddress
    package nonisolated let limits: Limits
    /// Nil once it has closed, so that its descriptor closes too.
    private var connection: HTTP2Connection?
    private let scheme: String
    private let authority: String
    private var opening: CheckedContinuation<Void, any Error>?
    private var closedBytes: (received: UInt64, sent: UInt64) = (0, 0)

    /// Connects, and waits until the server has shown that it speaks HTTP/2. Throws `Status` UNAVAILABLE with the
    /// reason. A host name is looked up on the calling task's thread (getaddrinfo(3)).
    package nonisolated static func connect(
        to address: SocketAddress, security: ClientSecurity = .plaintext, limits: Limits = .client,
        timeoutMilliseconds: UInt64 = 10_000
    ) async throws -> Client {
        var limits = limits
        limits.http2.handshakeMilliseconds = timeoutMilliseconds
        do {
            let tls: TLSContext? =
                switch security {
                case .plaintext: nil
                case .tls(let trust): try TLSContext(client: trust, host: address.hostWithoutInterface)
                }
            let socket = try Socket.connect(to: address)
            Socket.setLostPeerTimeout(socket, seconds: limits.lostPeerSeconds)
            let client = try await Client(
                socket, to: address, authority: authority(of: address, security), tls: tls, limits: limits)
            try await client.open()
            return client
        } catch {
            throw Status(.unavailable, "cannot connect to \(address): \(error)")
        }
    }

    /// A client on a socket that is connected already, such as one that a process was started with. Otherwise as
    /// `connect`.
    package nonisolated static func connect(
        over socket: consuming Descriptor, limits: Limits = .client, timeoutMilliseconds: UInt64 = 10_000
    ) async throws -> Client {
        var limits = limits
        limits.http2.handshakeMilliseconds = timeoutMilliseconds
        do {
            try Descriptor.setNonblocking(socket.raw)
            let client = try await Client(
                socket, to: .unix(path: ""), authority: "localhost", tls: nil, limits: limits)
            try await client.open()
            return client
        } catch {
            throw Status(.unavailable, "cannot speak to the server at the given socket: \(error)")
        }
    }

    private init(
        _ socket: consuming Descriptor, to address: SocketAddress, authority: String, tls: TLSContext?, limits: Limits
    ) throws(ConnectionFailure) {
        self.address = address
        self.limits = limits
        scheme = tls == nil ? "http" : "https"
        self.authority = authority
        connection = try HTTP2Connection(
            .client, socket: socket, tls: tls, peer: address, limits: HTTP2Limits.Shared(limits.http2),
            isConnecting: true)
    }

    /// The `:authority` of requests: the server name that the certificate is checked for, if one is given, else the
    /// host of the address.
    nonisolated static func authority(of address: SocketAddress, _ security: ClientSecurity) -> String {
        if case .tls(let trust) = security, let name = trust.serverName { return name }
        guard case .internet(_, let port) = address, let host = address.hostWithoutInterface else { return "localhost" }
        return SocketAddress.internet(host: host, port: port).description
    }

    private func open() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { opening in
                self.opening = opening
                do throws(ConnectionFailure) {
                    try connection?.start(self)
                } catch {
                    finishOpening(error)
                }
            }
        } onCancel: {
            Task { @IOLoop in self.close() }
        }
    }

    private func finishOpening(_ failure: ConnectionFailure?) {
        guard let opening else { return }
        self.opening = nil
        if let failure { opening.resume(throwing: failure) } else { opening.resume() }
    }

    /// Whether new calls can be made.
    package var isOpen: Bool { connection?.takesRequests ?? false }

    package var bytesReceived: UInt64 { connection?.bytesReceived ?? closedBytes.received }
    package var bytesSent: UInt64 { connection?.bytesSent ?? closedBytes.sent }

    /// Ends every call UNAVAILABLE and closes the connection.
    package func close() { connection?.close() }

    /// Begins a call; its handler is told of the end even when the connection is closed. This is the low-level
    /// interface: it creates no task.
    package func start(
        _ path: String, options: CallOptions = CallOptions(), handler: any ClientCallHandler
    ) -> ClientCall {
        let call = ClientCall(limits: limits, encoding: options.encoding, handler: handler)
        call.start(headers(path, options), timeoutMilliseconds: options.timeoutMilliseconds, on: connection)
        return call
    }

    private func headers(_ path: String, _ options: CallOptions) -> [HTTP2Header] {
        var headers = [
            HTTP2Header(":method", "POST"), HTTP2Header(":scheme", scheme), HTTP2Header(":path", path),
            HTTP2Header(":authority", authority), HTTP2Header("te", "trailers"),
            HTTP2Header("content-type", "application/grpc"), HTTP2Header("user-agent", "hearth-grpc"),
        ]
        headers.append(HTTP2Header("grpc-accept-encoding", MessageEncoding.accepted))
        if options.encoding != .identity {
            headers.append(HTTP2Header("grpc-encoding", options.encoding.rawValue))
        }
        if let milliseconds = options.timeoutMilliseconds {
            let nanoseconds = Monotonic(nanoseconds: 0).advanced(milliseconds: milliseconds).nanoseconds
            headers.append(HTTP2Header("grpc-timeout", CallTimeout.encode(nanoseconds: nanoseconds)))
        }
        return headers + options.metadata.headers
    }
}

extension Client: HTTP2ConnectionHandler {
    func opened(_ connection: HTTP2Connection) { finishOpening(nil) }

    func received(
        request: [HTTP2Header], tooLarge: Bool, on stream: HTTP2Stream, of connection: HTTP2Connection
    ) {}

    func met(_ limit: HTTP2Limits.Name) {}

    func closed(_ connection: HTTP2Connection, _ failure: ConnectionFailure) {
        closedBytes = (connection.bytesReceived, connection.bytesSent)
        self.connection = nil
        finishOpening(failure)
    }
}
