import GRPC
import InferenceMessages
import Testing

@testable import InferenceService

struct RequestValidationTests {
    private func refusal(_ change: (inout Hearth_V1_GenerateRequest) -> Void) -> Status? {
        var request = Hearth_V1_GenerateRequest.with { $0.text = "hello" }
        change(&request)
        do throws(Status) {
            try RequestValidation.check(request, limits: InferenceLimits())
            return nil
        } catch {
            return error
        }
    }

    @Test func `a plain request passes, and so does every bound itself`() {
        #expect(refusal { _ in } == nil)
        #expect(
            refusal {
                $0.sampling.temperature = 0
                $0.sampling.topP = 1
                $0.sampling.minP = 0
                $0.sampling.frequencyPenalty = -2
                $0.sampling.repetitionPenalty = 10
                $0.stopping.maxTokens = 1
                $0.stopping.stop = Array(repeating: String(repeating: "x", count: 256), count: 16)
            } == nil)
    }

    @Test func `a refusal names the field, what it holds and what is allowed`() {
        let status = refusal { $0.sampling.temperature = 2.5 }
        #expect(status?.code == .invalidArgument)
        #expect(status?.message == "sampling.temperature is 2.5; allowed: 0.0 to 2.0")
    }

    @Test(
        arguments: [
            ("prompt", { (request: inout Hearth_V1_GenerateRequest) in request.prompt = nil }),
            ("text", { $0.text = "" }),
            ("token_ids", { $0.tokenIds = .init() }),
            ("messages has 0", { $0.messages = .init() }),
            ("messages[1].role", { $0.messages.messages = [.with { $0.role = .user }, .init()] }),
            ("sampling.temperature", { $0.sampling.temperature = .nan }),
            ("sampling.temperature", { $0.sampling.temperature = -0.1 }),
            ("sampling.top_p", { $0.sampling.topP = 0 }),
            ("sampling.min_p", { $0.sampling.minP = 1.1 }),
            ("sampling.presence_penalty", { $0.sampling.presencePenalty = .infinity }),
            ("sampling.repetition_penalty", { $0.sampling.repetitionPenalty = 0 }),
            ("stopping.max_tokens", { $0.stopping.maxTokens = 0 }),
            ("stopping.stop has 17", { $0.stopping.stop = Array(repeating: "x", count: 17) }),
            ("stopping.stop[0]", { $0.stopping.stop = [""] }),
            ("stopping.stop_token_ids", { $0.stopping.stopTokenIds = Array(0..<65) }),
            ("stopping.ignore_end_of_turn", { $0.stopping.ignoreEndOfTurn = true }),
            ("request_id", { $0.requestID = String(repeating: "x", count: 129) }),
            ("backend_options", { $0.backendOptions = ["a": String(repeating: "x", count: 20_000)] }),
            ("max_queue_time", { $0.maxQueueTime.seconds = -1 }),
        ] as [(String, @Sendable (inout Hearth_V1_GenerateRequest) -> Void)])
    func `what is out of range is refused by name`(
        field: String, change: @Sendable (inout Hearth_V1_GenerateRequest) -> Void
    ) {
        let status = refusal(change)
        #expect(status?.code == .invalidArgument)
        #expect(status?.message.hasPrefix(field) == true, "\(status?.message ?? "accepted")")
    }
}
