package import EventLoop
internal import SwiftProtobuf

/// Runs a typed handler's task for one call, and lets it send no faster than the client reads.
///
/// Used on the loop; kept by its call, and by its task while that runs.
@IOLoop
package class TypedHandler: CallHandler {
    let call: ServerCall
    private var task: Task<Void, Never>?
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private var end: Status?

    init(_ call: ServerCall) { self.call = call }

    /// Begins the task; the call ends with what it throws, or OK.
    func run(_ body: @escaping @Sendable () async throws -> Void) {
        task = Task(priority: call.isFirst ? .high : nil) { @IOLoop in
            let status: Status
            do {
                try await body()
                status = .ok
            } catch {
                status = Status(describing: error)
            }
            self.call.finish(status, trailers: self.call.typedTrailers)
        }
    }

    func send(_ message: some SwiftProtobuf.Message, compressed: Bool?) async throws {
        while call.isCongested, !call.isOver {
            await withCheckedContinuation { waiters.append($0) }
        }
        if call.isOver { throw end ?? Status(.cancelled, "the call is over") }
        call.send(message, compressed: compressed)
    }

    package func received(_ message: UnsafeRawBufferPointer) {}

    package func receivedEnd() {}

    package func sendBufferDrained() {
        let waiters = self.waiters
        self.waiters.removeAll()
        for waiter in waiters { waiter.resume() }
    }

    package func cancelled(_ status: Status) {
        end = status
        task?.cancel()
        sendBufferDrained()
    }
}

/// Serves a method with exactly one request.
@IOLoop
final class SingleRequestHandler<Request: SwiftProtobuf.Message>: TypedHandler {
    typealias Serve = @Sendable (Request, CallContext, TypedHandler) async throws -> Void

    private let serve: Serve
    /// The request as it came, because the decoded one may be far larger, and the client may wait for long before it
    /// ends the stream.
    private var request: [UInt8]?

    init(_ call: ServerCall, _ serve: @escaping Serve) {
        self.serve = serve
        super.init(call)
        call.awaitRequest()
    }

    override func received(_ message: UnsafeRawBufferPointer) {
        guard request == nil else {
            call.finish(Status(.internalError, "this method takes one request, and a second one was sent"))
            return
        }
        request = Array(message)
        call.keep(message.count)
        call.isTypedRequestCompressed = call.isMessageCompressed
    }

    override func receivedEnd() {
        guard let bytes = request else {
            call.finish(Status(.internalError, "this method takes one request, and none was sent"))
            return
        }
        let request: Request
        do {
            request = try bytes.withUnsafeBytes { try Request(decoding: $0) }
        } catch {
            call.finish(Status(describing: error))
            return
        }
        call.requestCame()
        self.request = []
        let context = CallContext(call: call)
        run { [serve] in try await serve(request, context, self) }
    }
}

/// Serves a method with exactly one request, whose answer is at hand.
@IOLoop
final class ImmediateHandler<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>: CallHandler {
    typealias Answer = @IOLoop (Request, ServerCall) throws(Status) -> Response

    private let call: ServerCall
    private let answer: Answer
    /// The request as it came.
    private var request: [UInt8]?

    init(_ call: ServerCall, _ answer: @escaping Answer) {
        self.call = call
        self.answer = answer
        call.awaitRequest()
    }

    func received(_ message: UnsafeRawBufferPointer) {
        guard request == nil else {
            return call.finish(Status(.internalError, "this method takes one request, and a second one was sent"))
        }
        request = Array(message)
        call.keep(message.count)
    }

    func receivedEnd() {
        guard let bytes = request else {
            return call.finish(Status(.internalError, "this method takes one request, and none was sent"))
        }
        do {
            let request = try bytes.withUnsafeBytes { try Request(decoding: $0) }
            call.requestCame()
            call.send(try answer(request, call))
            call.finish(.ok)
        } catch {
            call.finish(Status(describing: error))
        }
    }

    func sendBufferDrained() {}

    func cancelled(_ status: Status) {}
}

/// Serves a method with a stream of requests.
@IOLoop
final class StreamingHandler<Request: SwiftProtobuf.Message>: TypedHandler {
    let queue: MessageQueue<Request>

    override init(_ call: ServerCall) {
        queue = MessageQueue(limits: call.limits)
        super.init(call)
        queue.onRoom = { call.resumeReceiving() }
        queue.onKept = { call.keep($0) }
    }

    override func received(_ message: UnsafeRawBufferPointer) {
        do {
            queue.push(
                try Request(decoding: message), byteCount: message.count, isCompressed: call.isMessageCompressed)
            if queue.isFull { call.pauseReceiving() }
        } catch {
            let status = Status(describing: error)
            call.finish(status)
            cancelled(status)
        }
    }

    override func receivedEnd() { queue.finish(.ok) }

    override func cancelled(_ status: Status) {
        queue.finish(status)
        super.cancelled(status)
    }
}

extension SwiftProtobuf.Message {
    /// Throws INTERNAL for bytes that are no such message.
    init(decoding bytes: UnsafeRawBufferPointer) throws {
        self.init()
        do {
            try merge(serializedBytes: bytes.bytes)
        } catch {
            throw Status(.internalError, "a message is no valid \(Self.protoMessageName): \(error)")
        }
    }
}
