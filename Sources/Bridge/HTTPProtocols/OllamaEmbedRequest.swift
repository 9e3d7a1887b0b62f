package import InferenceMessages
internal import StrictJSON

/// A request for vectors: of Ollama's `/api/embed`, or of the older `/api/embeddings`.
package struct OllamaEmbedRequest: Equatable, Sendable {
    /// Which of the two it is a request of.
    package enum Kind: Sendable {
        case embed
        /// One text, whose vector is as the model computed it.
        case embeddings
    }

    package let kind: Kind
    /// Without inputs where the meaning is none of a turn.
    package var embed: Hearth_V1_EmbedRequest
    package var meaning: OllamaMeaning

    /// Throws 400 as `TurnRequest` does.
    package init(_ body: [UInt8], _ kind: Kind) throws(HTTPFailure) {
        let own: Set<String> = kind == .embed ? ["dimensions", "input", "truncate"] : ["prompt"]
        let request = try RequestObject(body: body, known: own.union(["keep_alive", "model", "options"]))
        // No option changes a vector, and clients send the same as for an answer.
        _ = try request.object(
            "options", known: [], withoutEffect: OllamaOptions.withoutEffect.union(OllamaOptions.known),
            refused: OllamaOptions.refused)
        self.kind = kind
        embed = Hearth_V1_EmbedRequest()
        embed.model = try request.ollamaModel()
        let keepAlive = try request.keepAliveSeconds()
        if let keepAlive { embed.keepAlive = OllamaTime.duration(keepAlive) }
        switch kind {
        case .embed:
            embed.inputs = try Self.texts(request, "input").map { Self.input($0) }
            embed.truncate = try request.bool("truncate") ?? true
            if let length: UInt32 = try request.integer("dimensions", 0...UInt32.max), length > 0 {
                embed.dimensions = length
            }
        case .embeddings:
            if let text = try request.string("prompt"), !text.isEmpty { embed.inputs = [Self.input(text)] }
            embed.normalise = false
        }
        meaning = OllamaMeaning(isEmpty: embed.inputs.isEmpty, keepAliveSeconds: keepAlive)
    }

    private static func texts(_ request: RequestObject, _ key: String) throws(HTTPFailure) -> [String] {
        let wanted = "must be a string or a list of strings"
        switch request.node(key)?.value {
        case nil, .string(""): return []
        case .string(let text): return [text]
        case .array(let elements):
            var texts: [String] = []
            for element in elements {
                guard case .string(let text) = element.value else {
                    throw request.failure(key, "\(wanted); there is \(element.found)")
                }
                texts.append(text)
            }
            return texts
        default: throw request.failure(key, wanted)
        }
    }

    private static func input(_ text: String) -> Hearth_V1_EmbedInput {
        var input = Hearth_V1_EmbedInput()
        input.text = text
        return input
    }

    /// The answer. That to a request without inputs is made of an empty response. Throws 502 where a vector is missing.
    package func object(_ response: Hearth_V1_EmbedResponse) throws(HTTPFailure) -> JSONOutput {
        guard response.embeddings.count == embed.inputs.count else {
            throw .broken("\(response.embeddings.count) vectors for \(embed.inputs.count) inputs")
        }
        let vectors = response.embeddings.map { Self.list($0.vector) }
        switch kind {
        case .embed:
            return .object([
                ("model", .string(embed.model)), ("embeddings", .list(vectors)),
                ("prompt_eval_count", .integer(Int64(response.promptTokens))),
            ])
        case .embeddings: return .object([("embedding", vectors.first ?? .list([]))])
        }
    }

    /// The shortest digits that make the same number again, which are half of those of the number in double precision.
    private static func list(_ vector: [Float]) -> JSONOutput {
        .list(vector.map { $0.isFinite ? .text("\($0)") : .null })
    }

    /// The path of a field of hearth.v1 that the agent refused.
    package func param(_ field: String) -> String {
        OllamaPaths.param(field, [("inputs", kind == .embed ? "input" : "prompt")])
    }
}
