package import InferenceMessages

/// A request of Ollama's `/api/generate`, in the terms of hearth.v1: a question, which the model's chat template is put
/// around, or with `raw` a text that the model continues.
package struct OllamaGenerateRequest: Equatable, OllamaTurnRequest {
    package static let shape = OllamaAnswer.Shape.response

    package var generate: Hearth_V1_GenerateRequest
    package var streams: Bool
    package var meaning: OllamaMeaning

    private static let known: Set<String> = [
        "context", "images", "prompt", "raw", "suffix", "system", "template",
    ]

    private static let refused: [String: String] = [
        "height": "answers are text", "steps": "answers are text", "width": "answers are text",
    ]

    private static let refusedUnlessEmpty: [(key: String, remedy: String)] = [
        ("context", "send the conversation to /api/chat"), ("images", "prompts are text"),
        ("suffix", "no text is filled in before another; put all of it into 'prompt'"),
        ("template", "the model's own is used; with 'raw', 'prompt' is given to the model as it is"),
    ]

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: Hearth_V1_GenerateRequest.ollamaMembers.union(Self.known), refused: Self.refused)
        try request.refuse(unlessEmpty: Self.refusedUnlessEmpty)
        streams = try request.bool("stream") ?? true
        generate = Hearth_V1_GenerateRequest()
        try generate.readOllama(request)
        let prompt = try request.string("prompt") ?? ""
        let system = try request.string("system") ?? ""
        if try request.bool("raw") ?? false {
            guard system.isEmpty else { throw request.failure("system", "cannot stand beside 'raw'") }
            if !prompt.isEmpty { generate.text = prompt }
        } else if !prompt.isEmpty {
            if !system.isEmpty { generate.messages.messages.append(Self.message(.system, system)) }
            generate.messages.messages.append(Self.message(.user, prompt))
        }
        meaning = try OllamaMeaning(isEmpty: prompt.isEmpty, keepAliveSeconds: request.keepAliveSeconds())
    }

    private static func message(_ role: Hearth_V1_Role, _ content: String) -> Hearth_V1_Message {
        var message = Hearth_V1_Message()
        message.role = role
        message.content = content
        return message
    }

    package static func param(_ field: String) -> String? {
        // The messages are made of these two.
        if field == "text" || field.hasPrefix("messages") { return "prompt" }
        return OllamaPaths.param(field, [])
    }
}
