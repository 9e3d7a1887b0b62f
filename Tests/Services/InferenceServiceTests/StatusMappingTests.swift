import BackendIPC
import GRPC
import GRPCMessages
import SwiftProtobuf
import Testing

@testable import InferenceService

struct StatusMappingTests {
    private func types(_ status: Status) -> [Substring] {
        status.details.map { $0.typeURL.split(separator: ".").last ?? "" }
    }

    @Test("A full queue names the limit, and a retry makes sense")
    func queueFull() throws {
        let status = StatusMapping.queueFull(model: "m", waiting: 7)
        #expect(types(status) == ["QuotaFailure", "RetryInfo"])
        let quota = try Google_Rpc_QuotaFailure(serializedBytes: try #require(status.details.first).value)
        #expect(quota.violations.first?.subject == "model:m")
        #expect(quota.violations.first?.description_p.contains("queuedRequestsMax") == true)
        #expect(status.retryAfterMilliseconds == 1_000)
        let later = StatusMapping.queueFull(model: "m", waiting: 7, retryAfterMilliseconds: 2_500)
        #expect(later.retryAfterMilliseconds == 2_500)
    }

    @Test("What passes by itself says when to try again")
    func retry() {
        let over = StatusMapping.queueTimeOver(model: "m", retryAfterMilliseconds: 2_500)
        #expect(types(over) == ["RetryInfo"] && over.retryAfterMilliseconds == 2_500)
        #expect(types(StatusMapping.lost(model: "m")) == ["RetryInfo"])
        #expect(types(StatusMapping.status(of: Fault(.overloaded, "busy"), model: "m")) == ["RetryInfo"])
    }

    @Test("What does not pass by itself does not")
    func noRetry() {
        #expect(types(StatusMapping.unknown(model: "m", known: [])).isEmpty)
        #expect(types(StatusMapping.status(of: Fault(.internal, "no"), model: "m")).isEmpty)
    }

    @Test("A prompt that is too long names the field")
    func contextOverflow() throws {
        let status = StatusMapping.status(of: Fault(.contextOverflow, "9 of 8"), model: "m")
        let bad = try Google_Rpc_BadRequest(serializedBytes: try #require(status.details.first).value)
        #expect(bad.fieldViolations.map(\.field) == ["prompt"])
    }
}
