internal import EventLoop
package import LinuxSystem
package import SwiftProtobuf

/// The context of a typed handler's call.
package struct CallContext: Sendable {
    package let call: ServerCall

    @IOLoop package var metadata: Metadata { call.metadata }
    @IOLoop package var deadline: Monotonic? { call.deadline }
    @IOLoop package var peer: SocketAddress { call.peer }

    /// Whether the request of a unary or server-streaming method was compressed on the wire; for a stream of requests
    /// see `MessageStream`.
    @IOLoop package var isRequestCompressed: Bool { call.isTypedRequestCompressed }

    /// As `ServerCall.setResponseEncoding`.
    @IOLoop package func setResponseEncoding(_ encoding: MessageEncoding) { call.setResponseEncoding(encoding) }

    /// As `ServerCall.sendInitialMetadata`.
    @IOLoop package func sendInitialMetadata(_ metadata: Metadata) { call.sendInitialMetadata(metadata) }

    /// Sets the trailing metadata that the client gets with the final status.
    @IOLoop package func setTrailers(_ trailers: Metadata) { call.typedTrailers = trailers }
}

/// Sends a typed handler's answers.
package struct ResponseWriter<Response: SwiftProtobuf.Message>: Sendable {
    let handler: TypedHandler

    /// Sends one message, once the client has read enough of those before. Throws the call's status when it is over.
    /// `compressed` is as in `ServerCall.send`.
    package func send(_ response: Response, compressed: Bool? = nil) async throws {
        try await handler.send(response, compressed: compressed)
    }
}

extension Method {
    /// One request, one answer. The handler runs in a task that is cancelled with the call; a `Status` that it throws
    /// is what the client gets. Mark the closure `@IOLoop` to run it there.
    package static func unary<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ serve: @escaping @Sendable (Request, CallContext) async throws -> Response
    ) -> Method {
        Method { call in
            SingleRequestHandler<Request>(call) { request, context, handler in
                let response = try await serve(request, context)
                try await handler.send(response, compressed: nil)
            }
        }
    }

    /// One request, and one answer that is at hand on the I/O loop. No task is made for it: a storm of such calls would
    /// leave thousands of tasks waiting for their turn.
    package static func immediate<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ answer: @escaping @IOLoop (Request, ServerCall) throws(Status) -> Response
    ) -> Method {
        Method { call in ImmediateHandler(call, answer) }
    }

    /// One request, any number of answers; the call ends OK when the handler returns.
    package static func serverStreaming<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ serve: @escaping @Sendable (Request, ResponseWriter<Response>, CallContext) async throws -> Void
    ) -> Method {
        Method { call in
            SingleRequestHandler<Request>(call) { request, context, handler in
                try await serve(request, ResponseWriter(handler: handler), context)
            }
        }
    }

    /// Any number of requests and answers, in any order; the call ends OK when the handler returns.
    package static func bidirectional<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ serve:
            @escaping @Sendable (MessageStream<Request>, ResponseWriter<Response>, CallContext) async throws -> Void
    ) -> Method {
        Method { call in
            let handler = StreamingHandler<Request>(call)
            let requests = MessageStream(queue: handler.queue)
            handler.run { try await serve(requests, ResponseWriter(handler: handler), CallContext(call: call)) }
            return handler
        }
    }
}
