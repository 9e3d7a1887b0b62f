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

        /// The assistant's message at the end, which the completion continues; nil where the completion begins anew.
        public var continued: String? {
            guard case .messages(let messages) = self, let last = messages.last, last.role == .assistant else {
                return nil
            }
            return last.content
        }
    }

    /// One message of a conversation.
    public struct Message: Equatable, Sendable {
        public var role: Role
        /// What was said; the texts of its parts joined, where it came in parts.
        public var content: String
        /// Who speaks, for templates that show it; of a tool's result the tool. Empty: unknown. This and what follows is set
        /// only for a backend that has the capability `.tools`.
        public var name = ""
        /// Of a tool's result: the call that it answers.
        public var toolCallID = ""
        /// Of the model's message: the calls that it ended with.
        public var toolCalls: [ToolCall] = []
        /// Of the model's message: what it wrote to itself before.
        public var reasoning = ""

        public init(role: Role, content: String) {
            self.role = role
            self.content = content
        }
    }

    /// A call of a tool in a conversation.
    public struct ToolCall: Equatable, Sendable {
        public var id: String
        public var name: String
        /// The text of a JSON object.
        public var arguments: String

        public init(id: String, name: String, arguments: String) {
            self.id = id
            self.name = name
            self.arguments = arguments
        }
    }

    /// The tools that the model is told of.
    public struct Tools: Equatable, Sendable {
        /// One of them.
        public struct Tool: Equatable, Sendable {
            public var name: String
            public var description: String
            /// The JSON schema of its arguments: the text of a JSON object; empty: it has none.
            public var parameters: String

            public init(name: String, description: String = "", parameters: String = "") {
                self.name = name
                self.description = description
                self.parameters = parameters
            }
        }

        /// Whether the model calls one.
        public enum Choice: Equatable, Sendable {
            /// As it chooses.
            case auto
            /// Never: what looks like a call is text.
            case none
            /// At least one; of this name, where there is one.
            case required(String?)
        }

        public var tools: [Tool] = []
        public var choice = Choice.auto
        /// Whether it may call several at once; nil: as the model's template has it.
        public var parallelCalls: Bool?

        public init() {}
    }

    /// Who speaks; the numbers are those of `hearth.v1.Role`.
    public enum Role: Int32, Sendable, CaseIterable {
        case unspecified = 0
        case system = 1
        case user = 2
        case assistant = 3
        case tool = 4
    }

    public var requestID = ""
    public var model = ""
    public var prompt: Prompt
    /// Nil: the request names none. Set only for a backend with the capability `.tools`, and with a prompt of messages, the last
    /// of which is not the model's.
    public var tools: Tools?
    public var sampling = Sampling()
    public var stopping = Stopping()
    /// Options for this particular backend; ignore unknown keys.
    public var backendOptions: [String: String] = [:]
    /// The scope in which the KV cache may be reused; the agent sets it, not the consumer. The cache of one scope must
    /// not be used for another, because the time to the first token would reveal one consumer's prompts to another.
    /// Empty: share nothing. At most 32 opaque bytes.
    public var cacheScope: [UInt8] = []
    /// The tokens of this completion that an earlier process of the backend computed and sent, in order; empty for a new
    /// completion, and without the capability `.continues`. Go on behind them as that process would have, and emit nothing of
    /// them again: neither their text nor pieces of their tool calls. They count for `Stopping.maxTokens` and `minTokens`,
    /// penalties, the grammar, the random draws and the context, not for `PromptTokens`. They are fewer than
    /// `Stopping.maxTokens` and than the context has; refuse those that the vocabulary does not have.
    public var generatedTokenIDs: [UInt32] = []
    /// The adapters to compute with, of `LoadRequest.adapters`; nil: those that are applied by default. The agent has
    /// checked the names against the model's settings, which may have changed since it was loaded: refuse others.
    public var adapters: [Adapter]?
    /// Every token is emitted with its log-probability and with those of at most so many of the likeliest tokens, 0 to 20;
    /// nil: with none. Ignore it without the capability `.logprobs`.
    public var logprobs: Int?

    /// The form of the completion, in GBNF, its first rule is "root": the text, behind that of a message which it continues
    /// (`Prompt.continued`), is one that the grammar allows, or the beginning of one where it ends with `Ending.length` or at a
    /// stop. The agent has checked its syntax and its size. nil: any text; always without the capability `.grammar`.
    public var grammar: String?

    /// An adapter of the model.
    public struct Adapter: Equatable, Sendable {
        public var name: String
        /// How strongly it is applied; nil: as the model's owner says.
        public var scale: Float?

        public init(name: String, scale: Float? = nil) {
            self.name = name
            self.scale = scale
        }
    }

    public init(prompt: Prompt) { self.prompt = prompt }
}

/// How the next token is chosen, applied in this order: `logitBias`, penalties, DRY, `topNSigma`, `topK`, `typicalP`, `topP`,
/// `minP`, XTC, `temperature`. nil means the model's default; zero is a value. `inference.proto` has the ranges. The fields
/// from `penaltyWindow` on are set only for a backend that has the capability `.samplers`, and `logitBias` for one with
/// `.logitBias`.
public struct Sampling: Equatable, Sendable {
    public var temperature: Float?
    public var topP: Float?
    public var topK: UInt32?
    public var minP: Float?
    public var frequencyPenalty: Float?
    public var presencePenalty: Float?
    public var repetitionPenalty: Float?
    public var seed: UInt64?
    /// Penalties look back over so many tokens; of more than the context has, over all.
    public var penaltyWindow: UInt32?
    public var typicalP: Float?
    public var topNSigma: Float?
    public var xtcProbability: Float?
    public var xtcThreshold: Float?
    public var dryMultiplier: Float?
    public var dryBase: Float?
    public var dryAllowedLength: UInt32?
    /// DRY looks back over so many tokens; of more than the context has, over all.
    public var dryWindow: UInt32?
    /// nil: the usual ones; empty: none.
    public var drySequenceBreakers: [String]?
    /// No token twice. Refuse a token that the vocabulary does not have.
    public var logitBias: [LogitBias] = []

    /// What is added to the logit of a token.
    public struct LogitBias: Equatable, Sendable {
        public var token: UInt32
        public var bias: Float

        public init(token: UInt32, bias: Float) {
            self.token = token
            self.bias = bias
        }
    }

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
    /// Neither the model's end-of-turn tokens nor `stopTokenIDs` are chosen before so many tokens. nil without the capability
    /// `.minTokens`.
    public var minTokens: UInt32?
    /// Ends before the first of these in the model's text, marks and reasoning included; none of it is emitted. A backend
    /// without the capability `.stopStrings` ignores them: the agent looks for them itself.
    public var stop: [String] = []

    public init() {}
}
