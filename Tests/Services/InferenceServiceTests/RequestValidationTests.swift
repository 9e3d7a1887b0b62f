import GRPC
import InferenceMessages
import SandboxPolicy
import SwiftProtobuf
import Testing

@testable import InferenceService

struct RequestValidationTests {
    private func refusal(_ change: (inout Hearth_V1_GenerateRequest) -> Void) -> Status? {
        var request = Hearth_V1_GenerateRequest.with { $0.text = "hello" }
        change(&request)
        do {
            let bytes: [UInt8] = try request.serializedBytes()
            guard
                case .generate(let scanned) = try scan(
                    bytes, .generate(byteCount: bytes.count, limits: InferenceLimits()))
            else { return Status(.unknown, "it is no GenerateRequest") }
            try RequestValidation.check(scanned, InferenceLimits())
            return nil
        } catch {
            return error as? Status ?? Status(.unknown, "\(error)")
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
                $0.sampling.penaltyWindow = .max
                $0.sampling.typicalP = 1
                $0.sampling.topNSigma = 100
                $0.sampling.xtcProbability = 1
                $0.sampling.xtcThreshold = 0.5
                $0.sampling.dryMultiplier = 10
                $0.sampling.dryBase = 1
                $0.sampling.dryAllowedLength = 65_536
                $0.sampling.dryWindow = 0
                $0.sampling.drySequenceBreakers.texts = Array(repeating: String(repeating: "x", count: 16), count: 8)
                $0.sampling.logitBias = (0..<1_024 as Range<UInt32>).map { number in
                    .with {
                        $0.tokenID = number
                        $0.bias = number % 2 == 0 ? -100 : 100
                    }
                }
                $0.output.logprobs = 20
                $0.choices = 16
                $0.stopping.minTokens = 1
                $0.stopping.maxTokens = 1
                $0.stopping.stop = Array(repeating: String(repeating: "x", count: 256), count: 16)
            } == nil)
    }

    @Test func `a refusal names the field, what it holds and what is allowed`() {
        let status = refusal { $0.sampling.temperature = 2.5 }
        #expect(status?.code == .invalidArgument)
        #expect(status?.message == "sampling.temperature is 2.5; allowed: 0.0 to 2.0")
        #expect(
            status?.details
                == [.badRequest(field: "sampling.temperature", description: "is 2.5; allowed: 0.0 to 2.0")])
    }

    /// A change that makes the request wrong, and how the refusal begins.
    struct Wrong: Sendable {
        let field: String
        let change: @Sendable (inout Hearth_V1_GenerateRequest) -> Void

        init(_ field: String, _ change: @escaping @Sendable (inout Hearth_V1_GenerateRequest) -> Void) {
            self.field = field
            self.change = change
        }
    }

    static let wrong: [Wrong] = [
        Wrong("prompt") { $0.prompt = nil },
        Wrong("keep_alive") { $0.keepAlive.seconds = -1 },
        Wrong("keep_alive") { $0.keepAlive.seconds = 86_401 },
        Wrong("text") { $0.text = "" },
        Wrong("token_ids") { $0.tokenIds = .init() },
        Wrong("messages is empty") { $0.messages = .init() },
        Wrong("messages[1].role") { $0.messages.messages = [.with { $0.role = .user }, .init()] },
        Wrong("sampling.temperature") { $0.sampling.temperature = .nan },
        Wrong("sampling.temperature") { $0.sampling.temperature = -0.1 },
        Wrong("sampling.top_p") { $0.sampling.topP = 0 },
        Wrong("sampling.min_p") { $0.sampling.minP = 1.1 },
        Wrong("sampling.presence_penalty") { $0.sampling.presencePenalty = .infinity },
        Wrong("sampling.repetition_penalty") { $0.sampling.repetitionPenalty = 0 },
        Wrong("sampling.typical_p is 0.0; allowed: above 0.0 to 1.0") { $0.sampling.typicalP = 0 },
        Wrong("sampling.top_n_sigma is -1.0; allowed: 0.0 to 100.0") { $0.sampling.topNSigma = -1 },
        Wrong("sampling.xtc_probability") { $0.sampling.xtcProbability = 1.5 },
        Wrong("sampling.xtc_threshold is 0.6; allowed: 0.0 to 0.5") { $0.sampling.xtcThreshold = 0.6 },
        Wrong("sampling.dry_multiplier") { $0.sampling.dryMultiplier = .nan },
        Wrong("sampling.dry_base is 0.5; allowed: 1.0 to 10.0") { $0.sampling.dryBase = 0.5 },
        Wrong("sampling.dry_allowed_length is 0; allowed: 1 to 65536") { $0.sampling.dryAllowedLength = 0 },
        Wrong("sampling.dry_allowed_length") { $0.sampling.dryAllowedLength = 65_537 },
        Wrong("sampling.dry_sequence_breakers has more than 8 texts") {
            $0.sampling.drySequenceBreakers.texts = Array(repeating: "x", count: 9)
        },
        Wrong("sampling.dry_sequence_breakers.texts[1] has 0 bytes; allowed: 1 to 16") {
            $0.sampling.drySequenceBreakers.texts = ["x", ""]
        },
        Wrong("sampling.dry_sequence_breakers.texts[0] has 17 bytes") {
            $0.sampling.drySequenceBreakers.texts = [String(repeating: "x", count: 17)]
        },
        Wrong("sampling.dry_sequence_breakers.texts[0] has 2 bytes, one of them 0") {
            $0.sampling.drySequenceBreakers.texts = ["x\0"]
        },
        Wrong("sampling.logit_bias[1].bias is 100.5; allowed: -100.0 to 100.0") {
            $0.sampling.logitBias = [.init(), .with { $0.bias = 100.5 }]
        },
        Wrong("sampling.logit_bias[1].token_id is 7, which stands twice") {
            $0.sampling.logitBias = Array(repeating: .with { $0.tokenID = 7 }, count: 2)
        },
        Wrong("sampling.logit_bias has more than 1024 tokens") {
            $0.sampling.logitBias = (0..<1_025 as Range<UInt32>).map { number in .with { $0.tokenID = number } }
        },
        Wrong("stopping.min_tokens is 3; allowed: at most max_tokens, here 2") {
            $0.stopping.minTokens = 3
            $0.stopping.maxTokens = 2
        },
        Wrong("output.logprobs is 21; allowed: 0 to 20") { $0.output.logprobs = 21 },
        Wrong("stopping.max_tokens") { $0.stopping.maxTokens = 0 },
        Wrong("stopping.stop has more than 16") { $0.stopping.stop = Array(repeating: "x", count: 17) },
        Wrong("stopping.stop[0]") { $0.stopping.stop = [""] },
        Wrong("stopping.stop_token_ids") { $0.stopping.stopTokenIds = Array(0..<65) },
        Wrong("stopping.ignore_end_of_turn") { $0.stopping.ignoreEndOfTurn = true },
        Wrong("request_id") { $0.requestID = String(repeating: "x", count: 129) },
        Wrong("backend_options") { $0.backendOptions = ["a": String(repeating: "x", count: 20_000)] },
        Wrong("model") { $0.model = String(repeating: "x", count: 257) },
        Wrong("messages has more than 4096") {
            $0.messages.messages = Array(repeating: .with { $0.role = .user }, count: 4097)
        },
        Wrong("backend_options has 65 entries") {
            for option in 0..<65 { $0.backendOptions["\(option)"] = "" }
        },
        Wrong("choices is 0; allowed: 1 to 16") { $0.choices = 0 },
        Wrong("choices is 17; allowed: 1 to 16") { $0.choices = 17 },
        Wrong("adapters.adapters[0].name is ''") { $0.adapters.adapters = [.init()] },
        Wrong("adapters.adapters[0].name is 'a b'") { $0.adapters.adapters = [.with { $0.name = "a b" }] },
        Wrong("adapters.adapters[0].name has 65") {
            $0.adapters.adapters = [.with { $0.name = String(repeating: "x", count: 65) }]
        },
        Wrong("adapters.adapters[1].name is 'a', which stands twice") {
            $0.adapters.adapters = Array(repeating: .with { $0.name = "a" }, count: 2)
        },
        Wrong("adapters.adapters[0].scale is 11.0; allowed: -10.0 to 10.0") {
            $0.adapters.adapters = [
                .with {
                    $0.name = "a"
                    $0.scale = 11
                }
            ]
        },
        Wrong("adapters.adapters[0].scale") {
            $0.adapters.adapters = [
                .with {
                    $0.name = "a"
                    $0.scale = .nan
                }
            ]
        },
        Wrong("adapters.adapters has more than 16") {
            $0.adapters.adapters = (0..<17).map { number in .with { $0.name = "\(number)" } }
        },
        Wrong("max_queue_time") { $0.maxQueueTime.seconds = -1 },
        Wrong("max_queue_time") { $0.maxQueueTime.nanos = -1 },
        Wrong("max_queue_time") { $0.maxQueueTime.nanos = .max },
        Wrong("max_queue_time") { $0.maxQueueTime.nanos = 1_000_000_000 },
        Wrong("max_queue_time") { $0.maxQueueTime.seconds = 315_576_000_001 },
    ]

    @Test func `an adapter that the model does not have is refused with those that it has`() {
        let known = [ModelAdapter(name: "a", file: "a"), ModelAdapter(name: "b", file: "b")]
        func refusal(_ names: [String], _ known: [ModelAdapter]) -> String? {
            do {
                try RequestValidation.check(names.map { TurnRequest.Adapter(name: $0) }, of: "fox", known)
                return nil
            } catch {
                return error.message
            }
        }
        #expect(refusal(["b", "a"], known) == nil && refusal([], []) == nil)
        let sentence = "adapters.adapters[1].name is 'c', and 'fox' has no such adapter; it has: a, b"
        #expect(refusal(["a", "c"], known) == sentence)
        #expect(refusal(["a"], [])?.hasSuffix("it has none") == true)
    }

    @Test(arguments: wrong)
    func `what is out of range is refused by name`(wrong: Wrong) {
        let status = refusal(wrong.change)
        #expect(status?.code == .invalidArgument)
        #expect(status?.message.hasPrefix(wrong.field) == true, "\(status?.message ?? "accepted")")
    }
}
