internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection whose client takes too long to send a request, and counts the answers that have not left. It does not
/// matter how long an answer takes.
final class RequestClock: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart

    private let limits: BridgeLimits
    private let answers: OpenAnswers
    private var deadline: Scheduled<Void>?
    /// Requests whose head has come, and whose answer has not ended: a client may send several at once.
    private var unanswered = 0

    init(_ limits: BridgeLimits, _ answers: OpenAnswers) {
        self.limits = limits
        self.answers = answers
    }

    func handlerAdded(context: ChannelHandlerContext) { wait(limits.firstHeadSeconds, context) }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            unanswered += 1
            answers.begin()
            wait(limits.bodySeconds, context)
        case .body: break
        case .end: deadline?.cancel()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        unanswered -= 1
        if unanswered == 0 { wait(limits.nextHeadSeconds, context) }
        // It is kept once the socket has taken all of the answer, or is closed.
        let left = promise ?? context.eventLoop.makePromise(of: Void.self)
        left.futureResult.whenComplete { [answers] _ in answers.end() }
        context.write(data, promise: left)
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
            context.close(promise: nil)
        }
    }
}
