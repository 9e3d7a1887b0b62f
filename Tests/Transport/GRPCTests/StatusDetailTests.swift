import BaseEncodings
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

    @Test("What RetryInfo says is said to the retry policies of clients too, and nothing else is")
    func pushback() throws {
        let key = "grpc-retry-pushback-ms"
        var metadata = Metadata()
        try metadata.add(key, "7")
        func sent(_ details: [Status.Detail]) -> [String] {
            let trailers = ResponseHead.trailers(Status(.unavailable, details: details), metadata)
            return trailers.filter { $0.name == key }.map(\.value)
        }
        #expect(sent([.quotaFailure(subject: "a", description: "b"), .retry(afterMilliseconds: 1_500)]) == ["1500"])
        #expect(sent([.retry(afterMilliseconds: 0)]) == ["0"])
        #expect(sent([.retry(afterMilliseconds: 5_000_000_000)]) == ["2147483647"])
        #expect(sent([.quotaFailure(subject: "a", description: "b")]) == ["7"], "a handler's own")
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

    @Test(
        "What is sent of a status stays below what clients accept, whatever it holds",
        arguments: ["a", "%", "ü", "\u{1F525}", "e\u{301}"])
    func bounded(_ character: String) throws {
        let long = String(repeating: character, count: 5_000)
        let status = Status(
            .notFound, long, details: [.retry(afterMilliseconds: 1), .badRequest(field: "f", description: long)])
        let trailers = ResponseHead.trailers(status, Metadata())
        #expect(trailers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 } < 8 << 10)
        let received = try #require(ResponseStatus.of(trailers: trailers))
        #expect(received.code == .notFound)
        #expect(received.message.hasSuffix("\u{2026}"))
        #expect(long.unicodeScalars.starts(with: received.message.unicodeScalars.dropLast()))
        #expect(received.message.unicodeScalars.count > 150)
        #expect(received.details == [.retry(afterMilliseconds: 1)])
    }

    @Test("A message is not cut before the limit")
    func notCut() {
        for (text, size) in [("aaaa", 4), ("%%", 6), ("\u{fc}", 6), ("", 0)] {
            #expect(PercentEncoding.prefix(of: text, encodedBytesMax: size) == text)
        }
        #expect(PercentEncoding.prefix(of: String(repeating: "a", count: 11), encodedBytesMax: 10) == "a\u{2026}")
    }

    @Test("Details that cannot be read do not hide the status", arguments: ["???", "/w", ""])
    func unreadable(_ value: String) {
        let status = ResponseStatus.of(trailers: [HTTP2Header("grpc-status", "5"), HTTP2Header(field, value)])
        #expect(status == Status(.notFound))
    }
}
