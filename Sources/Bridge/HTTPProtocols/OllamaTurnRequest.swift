internal import InferenceMessages

/// A request of Ollama's protocol that asks for a turn, or only has a model loaded or unloaded.
package protocol OllamaTurnRequest: TurnRequest where Answer == OllamaAnswer {
    /// What it asks for. Where it is no turn, `generate` has no prompt, only the model and how long it is kept.
    var meaning: OllamaMeaning { get }

    static var shape: OllamaAnswer.Shape { get }
}

extension OllamaTurnRequest {
    package func answer(_ stamp: AnswerStamp) -> OllamaAnswer { OllamaAnswer(to: self, stamp) }

    /// The answer to a request that asks for no turn, once the model is loaded or unloaded: one object, also where a
    /// stream was asked for.
    package func objectWithoutTurn(_ stamp: AnswerStamp) -> JSONOutput {
        Self.shape.object(
            model: generate.model, createdAt: OllamaTime.text(stamp.created), OllamaAnswer.Piece(),
            [("done", .bool(true)), ("done_reason", .string(meaning == .unload ? "unload" : "load"))])
    }
}

/// What a request of Ollama's protocol asks for. One whose prompt is empty is about the model alone.
package enum OllamaMeaning: Sendable {
    case turn
    /// Load the model, and keep it as the request says.
    case load
    /// Give the model up.
    case unload

    init(isEmpty: Bool, keepAliveSeconds: Double?) {
        self = !isEmpty ? .turn : keepAliveSeconds == 0 ? .unload : .load
    }
}
