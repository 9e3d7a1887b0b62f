import GRPC
import Testing

@testable import InferenceService

struct CapabilityTableTests {
    /// A request with one field, and the row of the table that it meets.
    struct Asked: Sendable, CustomTestStringConvertible {
        let field: String
        let capability: String
        let change: @Sendable (inout TurnRequest) -> Void
        var testDescription: String { field }

        init(_ field: String, _ capability: String, _ change: @escaping @Sendable (inout TurnRequest) -> Void) {
            (self.field, self.capability, self.change) = (field, capability, change)
        }
    }

    static let asked = [
        Asked("messages", "chat") { $0.prompt = .messages(count: 1) },
        Asked("messages.parts", "parts") { $0.messageContents.parts = 1 },
        Asked("messages.parts.image", "images") { $0.messageContents.hasImages = true },
        Asked("messages.parts.audio", "audio") { $0.messageContents.hasAudio = true },
        Asked("messages", "tools") { $0.messageContents.hasToolFields = true },
        Asked("tools", "tools") { $0.tools = .init() },
        Asked("adapters", "adapters") { $0.adapters = [.init(name: "a")] },
        Asked("sampling.penalty_window", "samplers") { $0.sampling.penaltyWindow = 0 },
        Asked("sampling.typical_p", "samplers") { $0.sampling.typicalP = 1 },
        Asked("sampling.top_n_sigma", "samplers") { $0.sampling.topNSigma = 0 },
        Asked("sampling.xtc_probability", "samplers") { $0.sampling.xtcProbability = 0 },
        Asked("sampling.xtc_threshold", "samplers") { $0.sampling.xtcThreshold = 0 },
        Asked("sampling.dry_multiplier", "samplers") { $0.sampling.dryMultiplier = 0 },
        Asked("sampling.dry_base", "samplers") { $0.sampling.dryBase = 1 },
        Asked("sampling.dry_allowed_length", "samplers") { $0.sampling.dryAllowedLength = 1 },
        Asked("sampling.dry_window", "samplers") { $0.sampling.dryWindow = 0 },
        Asked("sampling.dry_sequence_breakers", "samplers") { $0.sampling.sequenceBreakers = 0 },
        Asked("sampling.logit_bias", "logit_bias") { $0.sampling.logitBias = [.init()] },
        Asked("stopping.min_tokens", "min_tokens") { $0.stopping.minTokens = 0 },
        Asked("output.logprobs", "logprobs") { $0.logprobs = 0 },
        Asked("format", "grammar") { $0.format = .init() },
    ]

    /// What every backend can do.
    private let plain: TurnRequest = {
        var request = TurnRequest()
        request.prompt = .text(byteCount: 1)
        request.sampling = .init(
            temperature: 0, topP: 1, minP: 0, frequencyPenalty: 0, presencePenalty: 0, repetitionPenalty: 1)
        request.stopping = .init(maxTokens: 1, stop: ["a"], stopTokenIDs: [1], ignoresEndOfTurn: true)
        request.wantsTokenIDs = true
        request.adapters = []
        return request
    }()

    private func refusal(_ request: TurnRequest, _ capabilities: [String]) -> Status? {
        do {
            try CapabilityTable.check(CapabilityTable.rows(of: request), capabilities, model: "m")
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: asked)
    func `each field needs its capability, and no other`(asked: Asked) {
        var request = plain
        asked.change(&request)
        #expect(CapabilityTable.rows(of: request).map(\.field) == [asked.field])
        #expect(refusal(request, [asked.capability]) == nil)
        let others = Set(Self.asked.map(\.capability)).subtracting([asked.capability])
        let status = refusal(request, Array(others))
        #expect(status?.code == .unimplemented)
        #expect(status?.message.hasPrefix("the backend of 'm' lacks the capability '\(asked.capability)'; ") == true)
        #expect(status?.message.contains(asked.field) == true, "the remedy names the field")
    }

    @Test func `what every backend can do needs nothing, and of several fields the first that is lacking is told`() {
        #expect(CapabilityTable.rows(of: plain).isEmpty && refusal(plain, []) == nil)
        var request = plain
        for asked in Self.asked { asked.change(&request) }
        #expect(CapabilityTable.rows(of: request).map(\.field) == Self.asked.map(\.field))
        #expect(refusal(request, Self.asked.map(\.capability)) == nil)
        #expect(
            refusal(request, Self.asked.map(\.capability).filter { $0 != "logit_bias" && $0 != "logprobs" })?.message
                .contains("logit_bias") == true)
    }
}
