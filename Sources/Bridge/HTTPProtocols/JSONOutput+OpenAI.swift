internal import BaseEncodings
internal import Cryptography
internal import InferenceMessages

// What several answers of OpenAI's protocol have.
extension JSONOutput {
    /// What a turn cost, as completions and chat completions say it.
    init(_ usage: Hearth_V1_Usage) {
        self = .object([
            ("prompt_tokens", .integer(Int64(usage.promptTokens))),
            ("completion_tokens", .integer(Int64(usage.completionTokens))),
            ("total_tokens", .integer(Int64(usage.promptTokens) + Int64(usage.completionTokens))),
            ("prompt_tokens_details", .object([("cached_tokens", .integer(Int64(usage.cachedPromptTokens)))])),
        ])
    }

    /// Tokens with their log-probabilities, and with the likeliest ones in their places.
    init(_ tokens: [Hearth_V1_TokenLogprob]) {
        self = .list(
            tokens.map { token in
                let likeliest = token.alternatives.map {
                    JSONOutput.object(Self.members([UInt8]($0.text), $0.logprob))
                }
                return .object(
                    Self.members([UInt8](token.text), token.logprob) + [("top_logprobs", .list(likeliest))])
            })
    }

    /// The bytes are the token's own; its text has U+FFFD where they are no UTF-8.
    private static func members(_ bytes: [UInt8], _ logprob: Float) -> [(String, JSONOutput)] {
        [
            ("token", .string(String(decoding: bytes, as: UTF8.self))), ("logprob", .number(Double(logprob))),
            ("bytes", .list(bytes.map { .integer(Int64($0)) })),
        ]
    }

    /// The shortest digits that are this number again; null where it is not finite.
    static func shortest(_ number: Float) -> JSONOutput { number.isFinite ? .text("\(number)") : .null }
}

extension Hearth_V1_Accepted {
    /// What OpenAI's protocol has as `system_fingerprint`: the same while the model's weights and its backend's version are,
    /// so that a client can tell why a seed gives another answer. Nothing where neither is known.
    var fingerprint: [(String, JSONOutput)] {
        guard !modelDigest.isEmpty || !backend.isEmpty else { return [] }
        let digest = ([UInt8](modelDigest) + backend.utf8).withUnsafeBytes { SHA256.digest($0) }
        return [("system_fingerprint", .string("fp_" + hexadecimal(digest.prefix(5))))]
    }
}

extension Hearth_V1_FinishReason {
    /// The `finish_reason` of completions and chat completions.
    func openAI() throws(HTTPFailure) -> String {
        switch self {
        case .stop: return "stop"
        case .length: return "length"
        case .toolCalls: return "tool_calls"
        // Nothing here cancels a turn and goes on reading it.
        case .cancelled, .unspecified, .UNRECOGNIZED: throw .broken("an end without a reason that is known here")
        }
    }
}
