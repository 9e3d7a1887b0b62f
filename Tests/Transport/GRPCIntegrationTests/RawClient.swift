import EventLoop
import HTTP2Connection
import LinuxSystem

/// A client of plain HTTP/2, for requests that our gRPC client would never make.
@IOLoop
final class RawClient: HTTP2ConnectionHandler {
    private let connection: HTTP2Connection
    private var closing: [CheckedContinuation<ConnectionFailure, Never>] = []
    private var failure: ConnectionFailure?

    init(to address: SocketAddress) throws {
        connection = try HTTP2Connection(
            .client, socket: try Socket.connect(to: address), tls: nil, peer: address,
            limits: HTTP2Limits.Shared(HTTP2Limits()),
            isConnecting: true)
        try connection.start(self)
    }

    /// What came back on one stream.
    struct Answer: Sendable {
        var headers: [[HTTP2Header]] = []
        var body: [UInt8] = []
        var end: HTTP2StreamEnd?

        func field(_ name: String) -> String? { headers.joined().first { $0.name == name }?.value }
    }

    /// Sends a POST to a path with a body, and waits for the stream's end.
    func request(
        _ path: String, method: String = "POST", contentType: String? = "application/grpc",
        fields: [HTTP2Header] = [], body: [UInt8] = [], endsBody: Bool = true
    ) async -> Answer {
        var headers = [
            HTTP2Header(":method", method), HTTP2Header(":scheme", "http"), HTTP2Header(":path", path),
            HTTP2Header(":authority", "test"), HTTP2Header("te", "trailers"),
        ]
        if let contentType { headers.append(HTTP2Header("content-type", contentType)) }
        let exchange = Exchange()
        return await withCheckedContinuation { waiter in
            exchange.waiter = waiter
            guard let stream = connection.request(headers + fields, handler: exchange) else {
                waiter.resume(returning: Answer())
                return
            }
            _ = stream.append(byteCount: body.count) { $0.copyBytes(from: body) }
            if endsBody { stream.end() }
        }
    }

    /// Waits until the server ends the connection.
    func closed() async -> ConnectionFailure {
        if let failure { return failure }
        return await withCheckedContinuation { closing.append($0) }
    }

    func close() { connection.close() }

    func opened(_ connection: HTTP2Connection) {}
    func met(_ limit: HTTP2Limits.Name) {}
    func received(request: [HTTP2Header], tooLarge: Bool, on: HTTP2Stream, of connection: HTTP2Connection) {}

    func closed(_ connection: HTTP2Connection, _ failure: ConnectionFailure) {
        self.failure = failure
        for waiter in closing { waiter.resume(returning: failure) }
        closing.removeAll()
    }

    @IOLoop
    private final class Exchange: HTTP2StreamHandler {
        var answer = Answer()
        var waiter: CheckedContinuation<Answer, Never>?

        func received(headers: [HTTP2Header], tooLarge: Bool) { answer.headers.append(headers) }
        func received(data: UnsafeRawBufferPointer) { answer.body += data }
        func receivedEnd() {}
        func bufferDrained() {}

        func ended(_ end: HTTP2StreamEnd) {
            answer.end = end
            waiter?.resume(returning: answer)
            waiter = nil
        }
    }
}
