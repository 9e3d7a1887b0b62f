internal import EventLoop
internal import Foundation
internal import GRPC
internal import InteropMessages

private typealias Empty = Grpc_Testing_Empty
private typealias SimpleRequest = Grpc_Testing_SimpleRequest
private typealias SimpleResponse = Grpc_Testing_SimpleResponse
private typealias Input = Grpc_Testing_StreamingInputCallRequest
private typealias InputSummary = Grpc_Testing_StreamingInputCallResponse
private typealias Output = Grpc_Testing_StreamingOutputCallRequest
private typealias OutputAnswer = Grpc_Testing_StreamingOutputCallResponse

/// `grpc.testing.TestService`: does what its callers ask for, so that they can see whether it arrives. The server's side
/// of the gRPC project's doc/interop-test-descriptions.md.
struct TestService: Service {
    let name = "grpc.testing.TestService"
    private let serverID = UUID().uuidString

    func method(_ name: String) -> Method? {
        switch name {
        case "EmptyCall": .unary(empty)
        case "UnaryCall": .unary(unary)
        case "CacheableUnaryCall": .unary(cacheable)
        case "StreamingOutputCall": .serverStreaming(output)
        case "StreamingInputCall": .bidirectional(input)
        case "FullDuplexCall": .bidirectional(fullDuplex)
        case "HalfDuplexCall": .bidirectional(halfDuplex)
        default: nil
        }
    }

    @IOLoop private func empty(_ request: Empty, _ context: CallContext) async throws -> Empty {
        try echoMetadata(context)
        return Empty()
    }

    @IOLoop private func unary(_ request: SimpleRequest, _ context: CallContext) async throws -> SimpleResponse {
        try echoMetadata(context)
        context.setResponseEncoding(request.responseCompressed.value ? .gzip : .identity)
        if request.hasExpectCompressed { try check(request.expectCompressed, context.isRequestCompressed) }
        if request.hasResponseStatus { try end(with: request.responseStatus) }
        var response = SimpleResponse()
        if request.responseSize != 0 { response.payload = try zeros(request.responseSize) }
        if request.fillServerID { response.serverID = serverID }
        return response
    }

    @IOLoop private func cacheable(_ request: SimpleRequest, _ context: CallContext) async throws -> SimpleResponse {
        var metadata = Metadata()
        try metadata.add("cache-control", "max-age=60, public")
        context.sendInitialMetadata(metadata)
        var response = SimpleResponse()
        response.payload.body = Data(
            Date.now.ISO8601Format(.iso8601(timeZone: .gmt, includingFractionalSeconds: true)).utf8)
        return response
    }

    @IOLoop private func output(
        _ request: Output, _ answers: ResponseWriter<OutputAnswer>, _ context: CallContext
    ) async throws {
        if request.hasResponseStatus { try end(with: request.responseStatus) }
        let compresses = request.responseParameters.contains { $0.compressed.value }
        context.setResponseEncoding(compresses ? .gzip : .identity)
        try await answer(request, answers)
    }

    @IOLoop private func input(
        _ requests: MessageStream<Input>, _ answers: ResponseWriter<InputSummary>, _ context: CallContext
    ) async throws {
        var summary = InputSummary()
        for try await request in requests {
            if request.hasExpectCompressed { try check(request.expectCompressed, requests.isMessageCompressed) }
            summary.aggregatedPayloadSize &+= Int32(clamping: request.payload.body.count)
        }
        try await answers.send(summary)
    }

    @IOLoop private func fullDuplex(
        _ requests: MessageStream<Output>, _ answers: ResponseWriter<OutputAnswer>, _ context: CallContext
    ) async throws {
        try echoMetadata(context)
        for try await request in requests {
            if request.hasResponseStatus { try end(with: request.responseStatus) }
            try await answer(request, answers)
        }
    }

    @IOLoop private func halfDuplex(
        _ requests: MessageStream<Output>, _ answers: ResponseWriter<OutputAnswer>, _ context: CallContext
    ) async throws {
        var kept: [Output] = []
        for try await request in requests {
            guard kept.count < 1_000 else { throw Status(.resourceExhausted, "at most 1000 requests are kept") }
            kept.append(request)
        }
        for request in kept { try await answer(request, answers) }
    }
}

extension TestService {
    /// Sends what a request's parameters ask for, one by one.
    @IOLoop private func answer(_ request: Output, _ answers: ResponseWriter<OutputAnswer>) async throws {
        for parameters in request.responseParameters {
            if parameters.intervalUs > 0 { try await Task.sleep(for: .microseconds(parameters.intervalUs)) }
            var response = OutputAnswer()
            response.payload = try zeros(parameters.size)
            try await answers.send(response, compressed: parameters.compressed.value)
        }
    }

    /// Two keys of the request come back, one before the answer and one after it.
    @IOLoop private func echoMetadata(_ context: CallContext) throws {
        if let text = context.metadata["x-grpc-test-echo-initial"] {
            var metadata = Metadata()
            try metadata.add("x-grpc-test-echo-initial", text)
            context.sendInitialMetadata(metadata)
        }
        if let bytes = context.metadata.binary("x-grpc-test-echo-trailing-bin") {
            var trailers = Metadata()
            try trailers.add("x-grpc-test-echo-trailing-bin", binary: bytes)
            context.setTrailers(trailers)
        }
    }

    private func check(_ expected: Grpc_Testing_BoolValue, _ isCompressed: Bool) throws {
        guard expected.value == isCompressed else {
            throw Status(.invalidArgument, "this message is \(isCompressed ? "" : "not ")compressed")
        }
    }

    private func end(with asked: Grpc_Testing_EchoStatus) throws {
        guard let code = Status.Code(rawValue: Int(asked.code)) else {
            throw Status(.invalidArgument, "there is no status code \(asked.code)")
        }
        if code != .ok { throw Status(code, asked.message) }
    }

    private func zeros(_ count: Int32) throws -> Grpc_Testing_Payload {
        guard 0...(4 << 20) ~= count else { throw Status(.invalidArgument, "a payload has 0 to 4 MiB, not \(count)") }
        var payload = Grpc_Testing_Payload()
        payload.body = Data(count: Int(count))
        return payload
    }
}
