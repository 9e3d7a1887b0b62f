internal import EventLoop
package import SwiftProtobuf

extension Client {
    /// One request, one answer. Throws the call's `Status`; a cancelled task cancels the call.
    package func unary<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ path: String, _ request: Request, answer: Response.Type = Response.self,
        options: CallOptions = CallOptions()
    ) async throws -> Response {
        let responses: MessageStream<Response> = serverStreaming(path, request, options: options)
        var only: Response?
        for try await response in responses {
            guard only == nil else { throw Status(.internalError, "\(path) takes one answer, and a second one came") }
            only = response
        }
        guard let only else { throw Status(.internalError, "\(path) ended OK without its answer") }
        return only
    }

    /// One request, any number of answers. A cancelled reader cancels the call.
    package func serverStreaming<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ path: String, _ request: Request, answers: Response.Type = Response.self,
        options: CallOptions = CallOptions()
    ) -> MessageStream<Response> {
        let call: BidirectionalCall<Request, Response> = bidirectional(path, options: options)
        call.handler.call?.send(request)
        call.endSending()
        return call.responses
    }

    /// Any number of requests and answers.
    package func bidirectional<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ path: String, requests: Request.Type = Request.self, answers: Response.Type = Response.self,
        options: CallOptions = CallOptions()
    ) -> BidirectionalCall<Request, Response> {
        let handler = TypedCallHandler(limits: limits) { try Response(decoding: $0) }
        let call = start(path, options: options, handler: handler)
        handler.attach(call)
        return BidirectionalCall(handler: handler)
    }

    /// One request, any number of answers, all of them encoded messages that are passed on as they are.
    package func serverStreaming(
        _ path: String, bytes request: [UInt8], options: CallOptions = CallOptions()
    ) -> BytesCall {
        let handler = TypedCallHandler(limits: limits) { Array($0) }
        let call = start(path, options: options, handler: handler)
        handler.attach(call)
        call.send(byteCount: request.count) { $0.copyBytes(from: request) }
        call.endSending()
        return BytesCall(handler: handler)
    }
}

/// A call in progress whose messages are not decoded.
package struct BytesCall: Sendable {
    let handler: TypedCallHandler<[UInt8]>

    /// The answers, as they come; one task reads them. A cancelled reader cancels the call.
    package var responses: MessageStream<[UInt8]> { MessageStream(queue: handler.queue) }

    /// Ends the call with RST_STREAM CANCEL; the reader gets CANCELLED.
    @IOLoop package func cancel() { handler.call?.cancel() }

    /// The server's initial metadata; empty before the first answer has come.
    @IOLoop package var initialMetadata: Metadata { handler.initialMetadata }

    /// The trailing metadata; empty before the final status has come.
    @IOLoop package var trailers: Metadata { handler.trailers }
}

/// A call in progress, both ways typed. Sending and reading may be done by two tasks.
package struct BidirectionalCall<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>: Sendable {
    let handler: TypedCallHandler<Response>

    /// The answers, as they come; one task reads them.
    package var responses: MessageStream<Response> { MessageStream(queue: handler.queue) }

    /// Sends one message, once the server has read enough of those before. Throws the call's status when it is over.
    /// `compressed` is as in `ClientCall.send`.
    package func send(_ request: Request, compressed: Bool? = nil) async throws {
        try await handler.send(request, compressed: compressed)
    }

    /// Ends the sending direction; answers still come.
    @IOLoop package func endSending() { handler.call?.endSending() }

    /// Ends the call with RST_STREAM CANCEL; the reader gets CANCELLED.
    @IOLoop package func cancel() { handler.call?.cancel() }

    /// The server's initial metadata; empty before it has come.
    @IOLoop package var initialMetadata: Metadata { handler.initialMetadata }

    /// The trailing metadata; empty before the final status has come.
    @IOLoop package var trailers: Metadata { handler.trailers }
}

/// Brings a call's answers to the task that reads them.
@IOLoop
final class TypedCallHandler<Response: Sendable>: ClientCallHandler {
    nonisolated let queue: MessageQueue<Response>
    private let decode: (UnsafeRawBufferPointer) throws -> Response
    private(set) var call: ClientCall?
    private(set) var initialMetadata = Metadata()
    private(set) var trailers = Metadata()
    private var end: Status?
    private var waiters: [CheckedContinuation<Void, Never>] = []

    init(limits: Limits, decode: @escaping (UnsafeRawBufferPointer) throws -> Response) {
        queue = MessageQueue(limits: limits)
        self.decode = decode
    }

    func attach(_ call: ClientCall) {
        self.call = call
        queue.onRoom = { call.resumeReceiving() }
        queue.onCancel = { call.cancel() }
    }

    func send(_ message: some SwiftProtobuf.Message, compressed: Bool?) async throws {
        while let call, call.isCongested, !call.isOver {
            await withCheckedContinuation { waiters.append($0) }
        }
        if let end { throw end.isOK ? Status(.cancelled, "the server has already ended the call") : end }
        try Task.checkCancellation()
        call?.send(message, compressed: compressed)
    }

    func received(initialMetadata: Metadata) { self.initialMetadata = initialMetadata }

    func received(_ message: UnsafeRawBufferPointer) {
        do {
            queue.push(
                try decode(message), byteCount: message.count,
                isCompressed: call?.isMessageCompressed ?? false)
            if queue.isFull { call?.pauseReceiving() }
        } catch {
            queue.finish(Status(describing: error))
            call?.cancel()
        }
    }

    func sendBufferDrained() {
        let waiters = self.waiters
        self.waiters.removeAll()
        for waiter in waiters { waiter.resume() }
    }

    func finished(_ status: Status, trailers: Metadata) {
        end = status
        self.trailers = trailers
        queue.finish(status)
        sendBufferDrained()
        call = nil
    }
}
