internal import EventLoop
internal import Foundation
internal import GRPC
internal import InteropMessages
internal import SwiftProtobuf

typealias SimpleRequest = Grpc_Testing_SimpleRequest
typealias SimpleResponse = Grpc_Testing_SimpleResponse
typealias Input = Grpc_Testing_StreamingInputCallRequest
typealias InputSummary = Grpc_Testing_StreamingInputCallResponse
typealias Output = Grpc_Testing_StreamingOutputCallRequest
typealias OutputAnswer = Grpc_Testing_StreamingOutputCallResponse

/// What a case expected and did not get.
struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The calls of `grpc.testing.TestService`, with all that a case looks at.
struct TestServiceStub {
    let client: Client

    /// A call of a method, both ways open.
    func open<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: String, _ request: Request.Type = Request.self, _ response: Response.Type = Response.self,
        options: CallOptions = CallOptions()
    ) async -> BidirectionalCall<Request, Response> {
        await client.bidirectional("/grpc.testing.TestService/\(method)", options: options)
    }

    /// Calls a method with one request, and takes its one answer; whether that was compressed is asked of the call.
    func unary<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: BidirectionalCall<Request, Response>, _ request: Request, compressed: Bool? = nil
    ) async throws -> Response {
        try await call.send(request, compressed: compressed)
        await call.endSending()
        let answers = try await all(call)
        guard answers.count == 1 else { throw Unexpected("\(answers.count) answers, not one") }
        return answers[0]
    }

    /// What is left of a call's answers.
    func all<Request, Response>(_ call: BidirectionalCall<Request, Response>) async throws -> [Response] {
        var answers: [Response] = []
        for try await answer in call.responses { answers.append(answer) }
        return answers
    }

    func expect(_ condition: Bool, _ otherwise: @autoclosure () -> String) throws(Unexpected) {
        guard condition else { throw Unexpected(otherwise()) }
    }

    /// That a call ends with this status, and with these words if they are given.
    func expect(_ code: Status.Code, _ message: String? = nil, of body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let status as Status {
            try expect(status.code == code, "the call ended \(status), not \(code.name)")
            if let message {
                try expect(status.message == message, "the message is \(status.message.debugDescription)")
            }
            return
        }
        throw Unexpected("the call ended OK, not \(code.name)")
    }

    func expectZeros(_ payload: Grpc_Testing_Payload, _ count: Int) throws {
        try expect(
            payload.body == Data(count: count),
            "a payload of \(payload.body.count) bytes, not \(count) zeros")
    }

    func zeros(_ count: Int) -> Grpc_Testing_Payload {
        var payload = Grpc_Testing_Payload()
        payload.body = Data(count: count)
        return payload
    }

    /// The request that asks for a large answer, and is large itself.
    var largeRequest: SimpleRequest {
        var request = SimpleRequest()
        request.responseSize = 314_159
        request.payload = zeros(271_828)
        return request
    }

    /// A request for answers of these sizes, with a payload of its own where that is not empty.
    func output(_ sizes: [Int32], payload count: Int = 0) -> Output {
        var request = Output()
        for size in sizes {
            var parameters = Grpc_Testing_ResponseParameters()
            parameters.size = size
            request.responseParameters.append(parameters)
        }
        if count > 0 { request.payload = zeros(count) }
        return request
    }
}
