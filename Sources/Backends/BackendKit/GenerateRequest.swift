/// What a consumer asked for. The agent has checked every range before it comes here.
public struct GenerateRequest: Equatable, Sendable {
    /// What the model continues.
    public enum Prompt: Equatable, Sendable {
        /// A conversation, oldest message first, to be rendered with the model's own chat template.
        case messages([Message])
        /// Given to the model as it is: no template, no special tokens parsed.
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
    /// For this backend in particular; ignore the keys that you do not know.
    public var backendOptions: [String: String] = [:]
    /// For whom the agent has this computed; the consumer does not say it. What was computed for one scope must not be
    /// used for another, or the time of an answer tells one consumer what another asked. Empty: share nothing. At most
    /// 32 bytes that mean nothing but themselves.
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

/// When a completion ends; the first that applies ends it. Stop strings are not here: the agent looks for them.
public struct Stopping: Equatable, Sendable {
    /// At most this many completion tokens; nil: what is left of the context.
    public var maxTokens: UInt32?
    /// Ends at the first of these tokens, which is not emitted.
    public var stopTokenIDs: [UInt32] = []
    /// Go on past the model's end-of-turn token.
    public var ignoresEndOfTurn = false
    /// Whether the agent looks for any.
    var hasStopStrings = false

    public init() {}
}
