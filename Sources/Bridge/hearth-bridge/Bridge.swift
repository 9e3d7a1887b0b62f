internal import EventLoop
internal import GRPC
internal import Glibc
internal import HTTPProtocols
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import Synchronization

/// Answers requests over HTTP with what the agent says: a consumer of hearth.v1 like any other.
struct Bridge: Sendable {
    let agent: Client
    let security: ServedSecurity
    let limits: BridgeLimits
    let reader = RequestReader()
    let bodies: BodyBudget
    let answers = OpenAnswers()
    let background: BackgroundResponses
    let offer: ResponsesOffer

    init(agent: Client, settings: BridgeSettings, limits: BridgeLimits) throws {
        self.agent = agent
        self.limits = limits
        security = try ServedSecurity(settings)
        bodies = BodyBudget(max: limits.bodiesBytesMax)
        background = BackgroundResponses()
        offer = ResponsesOffer(background)
    }

    /// Answers one request. Throws when the connection has to end: its client is gone, or was told of a failure.
    func respond(
        to request: Request, _ writer: consuming HummingbirdCore.ResponseWriter, on loop: any EventLoop
    ) async throws {
        let dialect = HTTPDialect(path: request.uri.path)
        var allowed: String?
        var response: Response
        var isLast = false
        do throws(HTTPFailure) {
            allowed = try security.origin.check(host: request.head.authority, origin: request.headers[.origin])
            response = try await answer(request, allowing: allowed)
        } catch {
            response = .failure(error, dialect)
            // The rest of its body may be of any length, or where it ends is not known.
            isLast = [413, 415, 503].contains(error.statusCode)
        }
        // An agent that makes way for another takes no more requests here: the client finds the other's bridge.
        if security.retires { isLast = true } else if await !agent.isOpen { isLast = true }
        if let allowed { response.allow(allowed) }
        if isLast { response.headers[.connection] = "close" }
        // Of it only the fields are sent (RFC 9110, section 9.3.2).
        if request.method == .head {
            let length = response.headers[.contentLength]
            response.body = ResponseBody()
            response.headers[.contentLength] = length
        }
        try await writer.write(
            response: HTTPResponse(status: response.status, headerFields: response.headers),
            body: response.body.paced(by: loop))
        if isLast { throw ConnectionEnd() }
    }
}

extension Bridge {
    /// Returns once the agent takes no more requests here, the answers before have left, and another bridge has what came of
    /// the responses in the background: the agent makes way for another one, or starts another bridge.
    func untilDone() async throws {
        var idleMilliseconds = 0
        while idleMilliseconds < limits.idleMillisecondsAtEnd {
            try await Task.sleep(for: .milliseconds(100))
            let takesNoMore = if security.retires { true } else { await !agent.isOpen }
            let isIdle = if takesNoMore && answers.isEmpty { await offer.isDone } else { false }
            idleMilliseconds = isIdle ? idleMilliseconds + 100 : 0
        }
        await offer.end()
    }
}

/// The requests whose answers have not left to their last byte.
final class OpenAnswers: Sendable {
    private let count = Atomic<Int>(0)

    var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    func begin() { count.add(1, ordering: .relaxed) }

    func end(_ ended: Int = 1) { count.subtract(ended, ordering: .relaxed) }
}

/// Writes a line to the log now, and not when the process ends.
func tell(_ line: String) {
    var text = "hearth-bridge: \(line)\n"
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Ends a connection.
struct ConnectionEnd: Error {}

extension Response {
    /// A whole JSON answer.
    static func json(_ object: JSONOutput, status: Int = 200) -> Response {
        text(object.text, "application/json", status: status)
    }

    static func text(_ text: String, _ mediaType: String, status: Int = 200) -> Response {
        let bytes = ByteBuffer(string: text)
        var headers = HTTPFields()
        headers[.contentType] = mediaType
        headers[.contentLength] = String(bytes.readableBytes)
        return Response(
            status: HTTPResponse.Status(code: status), headers: headers, body: ResponseBody(byteBuffer: bytes))
    }

    static func failure(_ failure: HTTPFailure, _ dialect: HTTPDialect) -> Response {
        var response = json(dialect.body(failure), status: failure.statusCode)
        if let seconds = failure.retryAfterSeconds { response.headers[.retryAfter] = String(seconds) }
        if !failure.allowed.isEmpty { response.headers[.allow] = failure.allowed.joined(separator: ", ") }
        if failure.statusCode == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }

    /// Lets a page of this origin read the answer (Fetch, section 3.2.3).
    mutating func allow(_ origin: String) {
        headers[.accessControlAllowOrigin] = origin
        headers[.vary] = "Origin"
    }
}
