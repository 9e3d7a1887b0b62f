import GRPCMessages
import HTTP2Connection
import SwiftProtobuf
import Testing

@testable import GRPC

struct StatusDetailTests {
    private let field = "grpc-status-details-bin"

    @Test("Details come back from trailers as they were sent")
    func roundTrip() {
        let status = Status(
            .resourceExhausted, "no more \u{1F525}",
            details: [
                .retry(afterMilliseconds: 1_500), .quotaFailure(subject: "stream", description: "turns"),
                .badRequest(field: "sampling.top_p", description: "is 3"),
                Status.Detail(typeURL: "example.org/whatever", value: [0, 255]),
            ])
        let trailers = ResponseHead.trailers(status, Metadata())
        #expect(ResponseStatus.of(trailers: trailers) == status)
        #expect(trailers.first { $0.name == field }?.value.contains("=") == false)
    }

    @Test("They are the google.rpc.Status of the same code and message")
    func message() throws {
        let status = Status(.unavailable, "later", details: [.retry(afterMilliseconds: 1_500)])
        let trailers = ResponseHead.trailers(status, Metadata())
        let value = try #require(trailers.first { $0.name == field }?.value)
        let bytes = try #require(Base64.decode(value))
        let sent = try Google_Rpc_Status(serializedBytes: bytes)
        #expect(sent.code == 14)
        #expect(sent.message == "later")
        let any = try #require(sent.details.first)
        #expect(any.typeURL == "type.googleapis.com/google.rpc.RetryInfo")
        let retry = try Google_Rpc_RetryInfo(unpackingAny: any)
        #expect(retry.retryDelay.seconds == 1)
        #expect(retry.retryDelay.nanos == 500_000_000)
    }

    @Test("A status without details sends none, and a handler's own are kept then only")
    func handlersOwn() throws {
        var metadata = Metadata()
        try metadata.add(field, binary: [1])
        #expect(ResponseHead.trailers(Status(.notFound), Metadata()).allSatisfy { $0.name != field })
        #expect(ResponseHead.trailers(Status(.notFound), metadata).contains { $0.name == field })
        let status = Status(.notFound, details: [.retry(afterMilliseconds: 1)])
        #expect(ResponseHead.trailers(status, metadata).count { $0.name == field } == 1)
        #expect(ResponseStatus.of(trailers: ResponseHead.trailers(status, metadata)) == status)
    }

    @Test("Details that cannot be read do not hide the status", arguments: ["???", "/w", ""])
    func unreadable(_ value: String) {
        let status = ResponseStatus.of(trailers: [HTTP2Header("grpc-status", "5"), HTTP2Header(field, value)])
        #expect(status == Status(.notFound))
    }
}
