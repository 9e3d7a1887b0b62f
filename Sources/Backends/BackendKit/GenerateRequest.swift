/// A consumer's request. The agent has checked every range before.
public struct GenerateRequest: Equatable, Sendable {
    /// The text that the model continues.
    public enum Prompt: Equatable, Sendable {
        /// A conversation, oldest message first, to be rendered with the model's own chat template.
        case messages([Message])
        /// Text that the model gets as it is: no template is applied, no special tokens are parsed.
        case text(String)
        /// Token ids of the model's own vocabulary.
        case tokenIDs([UInt32])
    }

    /// One message of a conversation.
    public struct Message: Equatable, Sendable {
        public var role: Role
        public var content: String

        public init(role: Role, content: String) {
            self.role = role
            self.content = content
        }
    }

    /// Who speaks; the numbers are those of `hearth.v1.Role`.
    public enum Role: Int32, Sendable, CaseIterable {
        case unspecified = 0
        case system = 1
        case user = 2
        case assistant = 3
    }

    public var requestID = ""
    public var model = ""
    public var prompt: Prompt
    public var sampling = Sampling()
    public var stopping = Stopping()
    /// Options for this particular backend; ignore unknown keys.
    public var backendOptions: [String: String] = [:]
    /// The scope in which the KV cache may be reused; the agent sets it, not the consumer. The cache of one scope must
    /// not be used for another, because the time to the first token would reveal one consumer's prompts to another.
    /// Empty: share nothing. At most 32 opaque bytes.
    public var cacheScope: [UInt8] = []

    public init(prompt: Prompt) { self.prompt = prompt }
}

/// How the next token is chosen, applied in this order: penalties, top_k, top_p, min_p, temperature. nil means the
/// model's default; zero is a value. `inference.proto` has the ranges.
public struct Sampling: Equatable, Sendable {
    public var temperature: Float?
    public var topP: Float?
    public var topK: UInt32?
    public var minP: Float?
    public var frequencyPenalty: Float?
    public var presencePenalty: Float?
    public var repetitionPenalty: Float?
    public var seed: UInt64?

    public init() {}
}

/// When a completion ends; the first condition that applies ends it.
public struct Stopping: Equatable, Sendable {
    /// At most this many completion tokens; nil: what is left of the context.
    public var maxTokens: UInt32?
    /// Ends at the first of these tokens, which is not emitted.
    public var stopTokenIDs: [UInt32] = []
    /// Go on past the model's end-of-turn token.
    public var ignoresEndOfTurn = false
    /// Ends before the first of these in the model's text, marks and reasoning included; none of it is emitted. A backend
    /// without the capability `.stopStrings` ignores them: the agent looks for them itself.
    public var stop: [String] = []

    public init() {}
}
