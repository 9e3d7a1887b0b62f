import InferenceMessages

/// Requests as a consumer writes them; greedy unless a test says otherwise.
extension Hearth_V1_GenerateRequest {
    /// One question in a conversation.
    static func question(_ text: String) -> Self { conversation([(.user, text)]) }

    static func conversation(_ messages: [(Hearth_V1_Role, String)]) -> Self {
        greedy {
            $0.messages.messages = messages.map { role, content in
                var message = Hearth_V1_Message()
                message.role = role
                message.content = content
                return message
            }
        }
    }

    static func text(_ text: String) -> Self { greedy { $0.text = text } }

    static func tokens(_ ids: [UInt32]) -> Self { greedy { $0.tokenIds.ids = ids } }

    private static func greedy(_ change: (inout Self) -> Void) -> Self {
        var request = Self()
        request.sampling.temperature = 0
        change(&request)
        return request
    }

    /// The same request with something changed.
    func with(_ change: (inout Self) -> Void) -> Self {
        var request = self
        change(&request)
        return request
    }

    /// A completion that does not end by itself before this many tokens.
    func endless(_ tokens: UInt32) -> Self {
        with {
            $0.stopping.ignoreEndOfTurn = true
            $0.stopping.maxTokens = tokens
        }
    }
}
