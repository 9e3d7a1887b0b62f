package import InferenceMessages

/// A request of Ollama's `/api/chat`, in the terms of hearth.v1.
package struct OllamaChatRequest: Equatable, OllamaTurnRequest {
    package static let shape = OllamaAnswer.Shape.message

    package var generate: Hearth_V1_GenerateRequest
    package var streams: Bool
    package var meaning: OllamaMeaning

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: Hearth_V1_GenerateRequest.ollamaMembers.union(["messages", "tools"]))
        streams = try request.bool("stream") ?? true
        generate = Hearth_V1_GenerateRequest()
        try generate.readOllama(request)
        try generate.readTools(request)
        let messages = try OllamaMessages.read(request)
        if !messages.messages.isEmpty { generate.messages = messages }
        meaning = try OllamaMeaning(
            isEmpty: messages.messages.isEmpty, keepAliveSeconds: request.keepAliveSeconds())
    }

    package static func param(_ field: String) -> String? {
        OllamaPaths.param(field, [("messages.messages", "messages"), ("prompt", "messages")])
    }
}
