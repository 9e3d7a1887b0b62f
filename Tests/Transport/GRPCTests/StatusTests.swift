import HTTP2Connection
import Testing

@testable import GRPC

struct StatusTests {
    @Test(
        "Any text survives as a grpc-message", arguments: ["", "plain", "100 %", "%41", "ü\u{1F525}\n\0", "%", "%%%"])
    func percentEncoding(_ text: String) {
        let encoded = PercentEncoding.encode(text)
        #expect(encoded.utf8.allSatisfy { (0x20...0x7e).contains($0) })
        #expect(PercentEncoding.decode(encoded) == text)
    }

    @Test("A message that is badly encoded is shown as it is", arguments: ["%", "%4", "%zz", "a%"])
    func badPercentEncoding(_ text: String) {
        #expect(PercentEncoding.decode(text) == text)
    }

    @Test("Bytes that are no UTF-8 become replacement characters")
    func brokenUTF8() {
        #expect(PercentEncoding.decode("%FF!") == "\u{FFFD}!")
    }

    @Test("Trailers give the status back", arguments: Status.Code.allCases)
    func trailers(_ code: Status.Code) {
        let status = Status(code, "why: ü")
        #expect(ResponseStatus.of(trailers: ResponseHead.trailers(status, Metadata())) == status)
    }

    @Test("A code that is none is UNKNOWN and shown", arguments: ["17", "-1", "", "x"])
    func unknownCode(_ code: String) {
        let status = ResponseStatus.of(trailers: [HTTP2Header("grpc-status", code)])
        #expect(status?.code == .unknown)
        #expect(status?.message.contains("'\(code)'") == true)
    }

    @Test("Trailers without a status are none")
    func noStatus() {
        #expect(ResponseStatus.of(trailers: [HTTP2Header("grpc-message", "x")]) == nil)
    }

    @Test(
        "An HTTP status becomes the canonical code",
        arguments: [
            ("400", .internalError), ("401", .unauthenticated), ("403", .permissionDenied), ("404", .unimplemented),
            ("429", .unavailable), ("502", .unavailable), ("503", .unavailable), ("504", .unavailable),
            ("500", .unknown), ("", .unknown),
        ] as [(String, Status.Code)])
    func httpStatus(_ status: String, _ code: Status.Code) {
        #expect(ResponseStatus.of(headers: [HTTP2Header(":status", status)])?.code == code)
    }

    @Test("An answer of another content type is UNKNOWN")
    func contentType() {
        let headers = [HTTP2Header(":status", "200"), HTTP2Header("content-type", "text/html")]
        #expect(ResponseStatus.of(headers: headers)?.code == .unknown)
        #expect(ResponseStatus.of(headers: ResponseHead.accepted) == nil)
    }

    @Test(
        "A reset becomes the canonical code",
        arguments: [
            (.refusedStream, .unavailable), (.cancel, .cancelled), (.enhanceYourCalm, .resourceExhausted),
            (.inadequateSecurity, .permissionDenied), (.internalError, .internalError),
            (HTTP2ErrorCode(rawValue: 77), .internalError),
        ] as [(HTTP2ErrorCode, Status.Code)])
    func resets(_ error: HTTP2ErrorCode, _ code: Status.Code) {
        #expect(ResponseStatus.of(.reset(error)).code == code)
    }
}
