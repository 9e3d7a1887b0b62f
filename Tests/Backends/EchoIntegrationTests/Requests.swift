import EchoTokens
import InferenceMessages
import SwiftProtobuf

/// Requests as a consumer's generated code encodes them.
func request(
    _ text: String = "once upon a time", seed: UInt64? = nil, maxTokens: UInt32? = nil, stopTokenIDs: [UInt32] = [],
    options: [String: String] = [:]
) throws -> [UInt8] {
    try Hearth_V1_GenerateRequest.with { request in
        request.text = text
        if let seed { request.sampling.seed = seed }
        if let maxTokens { request.stopping.maxTokens = maxTokens }
        if !stopTokenIDs.isEmpty { request.stopping.stopTokenIds = stopTokenIDs }
        request.backendOptions = options
    }.serializedBytes()
}

/// What echo must answer.
func expectedIDs(seed: UInt64 = 0, text: String = "once upon a time", _ indices: Range<UInt64>) -> [UInt32] {
    let tokens = EchoTokens(seed: seed, prompt: EchoPrompt(text: text))
    return indices.map { tokens.id(at: $0) }
}

func expectedText(seed: UInt64 = 0, text: String = "once upon a time", _ indices: Range<UInt64>) -> String {
    EchoTokens(seed: seed, prompt: EchoPrompt(text: text)).text(indices)
}
