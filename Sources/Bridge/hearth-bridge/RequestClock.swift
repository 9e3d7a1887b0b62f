internal import HTTPProtocols
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection whose client takes too long to send a request, counts the answers that have not left, tells a
/// client that waits with its body that it may send it, and says what is wrong with a request that could not be read.
/// It does not matter how long an answer takes.
final class RequestClock: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: BridgeLimits
    private let answers: OpenAnswers
    private let idle: IdleConnections
    private var deadline: Scheduled<Void>?
    /// Requests whose head has come, and whose answer has not ended: a client may send several at once.
    private var unanswered = 0
    /// Those of them that have come whole.
    private var whole = 0

    init(_ limits: BridgeLimits, _ answers: OpenAnswers, _ idle: IdleConnections) {
        self.limits = limits
        self.answers = answers
        self.idle = idle
    }

    func handlerAdded(context: ChannelHandlerContext) { wait(limits.firstHeadSeconds, context) }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            unanswered += 1
            answers.begin()
            wait(limits.bodySeconds, context)
            if unanswered == 1, mayContinue(head) {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body: break
        case .end:
            deadline?.cancel()
            // One that was refused is answered already.
            if unanswered > whole {
                whole += 1
                if whole == 1 { idle.isBusy(context.channel) }
            }
        }
        context.fireChannelRead(data)
    }

    /// Whether the client waits to be told that it may send its body (RFC 9110, section 10.1.1), and the body may be taken.
    private func mayContinue(_ head: HTTPRequest) -> Bool {
        let length = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
        return head.headerFields[.expect]?.lowercased() == "100-continue" && length <= limits.bodyBytesMax
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // What is answered without a request, because it could not be read, was not counted.
        guard unanswered > 0 else { return write(unreadable: unwrapOutboundIn(data), context, promise) }
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        unanswered -= 1
        if unanswered == 0 { wait(limits.nextHeadSeconds, context) }
        if whole > 0 {
            whole -= 1
            if whole == 0, context.channel.isActive { idle.isIdle(context.channel) }
        }
        // It is kept once the socket has taken all of the answer, or is closed.
        let left = promise ?? context.eventLoop.makePromise(of: Void.self)
        left.futureResult.whenComplete { [answers] _ in answers.end() }
        context.write(data, promise: left)
    }

    /// The server itself answers such a request without a body.
    private func write(
        unreadable part: HTTPResponsePart, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?
    ) {
        guard case .head(var head) = part else { return context.write(wrapOutboundOut(part), promise: promise) }
        let failure = HTTPFailure(
            400, type: "invalid_request_error",
            "this is no request of HTTP/1.1, or its head has more than \(limits.headBytesMax) bytes or "
                + "\(limits.fieldsMax) fields"
        )
        let text = ByteBuffer(string: HTTPDialect.openAI.body(failure).text)
        head.headerFields[.contentType] = "application/json"
        head.headerFields[.contentLength] = String(text.readableBytes)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(text)), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if unanswered > 0 { context.triggerUserOutboundEvent(AnswerCut(), promise: nil) }
        context.close(mode: mode, promise: promise)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        answers.end(unanswered)
        unanswered = 0
        context.fireChannelInactive()
    }

    private func wait(_ seconds: Int64, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(seconds)) {
            self.close(context: context, mode: .all, promise: nil)
        }
    }
}
