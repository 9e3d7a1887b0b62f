import GRPC
import HTTPProtocols
import Testing

struct HTTPFailureTests {
    @Test(
        "each status has its code in HTTP",
        arguments: [
            (Status.Code.invalidArgument, 400), (.unimplemented, 400), (.unauthenticated, 401),
            (.permissionDenied, 403), (.notFound, 404), (.resourceExhausted, 429), (.internalError, 500),
            (.unavailable, 503), (.deadlineExceeded, 504),
        ])
    func codes(code: Status.Code, statusCode: Int) {
        let failure = HTTPFailure(Status(code, "why"))
        #expect(failure.statusCode == statusCode)
        #expect(failure.message == "why")
    }

    @Test func `no status of a failed call is a success`() {
        for code in Status.Code.allCases { #expect(HTTPFailure(Status(code)).statusCode >= 400) }
    }

    @Test func `the time to wait is rounded up to seconds, and left out where there is none`() {
        func seconds(_ milliseconds: UInt64) -> UInt64? {
            HTTPFailure(Status(.unavailable, "", details: [.retry(afterMilliseconds: milliseconds)])).retryAfterSeconds
        }
        #expect(seconds(0) == 1)
        #expect(seconds(1_000) == 1)
        #expect(seconds(1_001) == 2)
        #expect(HTTPFailure(Status(.unavailable)).retryAfterSeconds == nil)
    }

    @Test func `a prompt that does not fit is told as such, with the request's field`() {
        let status = Status(.invalidArgument, "", details: [.badRequest(field: "prompt", description: "too long")])
        let failure = HTTPFailure(status, fields: ChatCompletionRequest.param)
        #expect(failure.param == "messages")
        #expect(failure.code == "context_length_exceeded")
    }

    @Test func `the object has all four members`() {
        let failure = HTTPFailure.invalid("n", "say \"1\"")
        #expect(
            failure.object.text
                == #"{"error":{"message":"say \"1\"","type":"invalid_request_error","param":"n","code":null}}"#)
    }

    @Test func `Hearth's own error has the status code and the status, also where no call was made`() {
        let told = HTTPFailure(Status(.failedPrecondition, "resume it"))
        #expect(
            HTTPDialect.hearth.body(told).text
                == #"{"error":{"code":400,"message":"resume it","status":"FAILED_PRECONDITION"}}"#)
        for (statusCode, status) in [
            (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"),
            (405, "UNIMPLEMENTED"), (413, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (502, "INTERNAL"),
        ] {
            let failure = HTTPFailure(statusCode, type: "error", "why")
            #expect(
                HTTPDialect.hearth.body(failure).text
                    == #"{"error":{"code":\#(statusCode),"message":"why","status":"\#(status)"}}"#)
        }
        #expect(HTTPDialect(path: "/hearth/v1/status") == .hearth)
        #expect(HTTPDialect(path: "/metrics") == .hearth)
        #expect(HTTPDialect(path: "/hearth") == .openAI)
    }

    @Test func `Anthropic's error object has the kind of the error where it has one`() {
        #expect(
            HTTPDialect.anthropic.body(.invalid("n", "why", code: "unsupported_parameter")).text
                == #"{"type":"error","error":{"type":"invalid_request_error","message":"n: why","#
                + #""details":{"error_code":"unsupported_parameter"}}}"#)
        #expect(
            HTTPDialect.anthropic.body(HTTPFailure(500, type: "server_error", "why")).text
                == #"{"type":"error","error":{"type":"api_error","message":"why"}}"#)
    }
}
