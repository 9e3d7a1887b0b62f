/// The part of a backend that computes tokens: the one type that its author writes. `Backend.run` serves the contract
/// with the agent and calls the engine, always from the one thread that called `run`, never two functions at once.
///
///     struct MyEngine: Engine {
///         static let name = "mine"
///         static let version = "1.0"
///         mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
///             LoadedModel(maxContextTokens: 4096, maxSequences: min(request.maxSequences, 8))
///         }
///         mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) { ... }
///         mutating func cancel(_ sequence: Int) -> PromptTokens { ... }
///         mutating func step(_ step: inout Step) throws(EngineFault) -> Pace {
///             for sequence in step.sequences {
///                 step.emit(sequence, token: 42, text: " word")
///             }
///             return .again
///         }
///     }
///     Backend.run(MyEngine())
public protocol Engine {
    /// The backend's name: 1 to 64 letters, digits, '.', '_' and '-'.
    static var name: String { get }
    /// Its version, at most 64 bytes.
    static var version: String { get }
    /// What it can do beyond plain completion. The agent never asks for a capability that is not named. None by
    /// default.
    static var capabilities: [Capability] { get }

    /// Loads the one model that this process serves; called once, first. It may take minutes: call `progress` with 0 to
    /// 1 now and then, as often as you like. A fault ends the backend.
    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel

    /// Tells what the model is and what `load` would take, without loading it; called only with the capability
    /// `.inspect`, once and first, in a process that ends afterwards and has the limits of one that loads.
    mutating func inspect(_ request: LoadRequest) throws(EngineFault) -> InspectedModel

    /// How many tokens the prompt has, as `start` would count it; called only with the capability `.countTokens`. nil
    /// when counting takes long: the same query is asked again, some milliseconds and at most a step later, until it has
    /// an answer or a fault. `query` differs from those of all other open queries.
    mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int?

    /// The tokens of the prompt, as `start` would compute them; called only with the capability `.tokenize`. nil: as for
    /// `countTokens`.
    mutating func tokenize(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> TokenList?

    /// The text that the prompt becomes: of messages what the chat template makes of them, UTF-8, special tokens spelt
    /// out; of token ids the texts of the tokens. Otherwise as `tokenize`.
    mutating func text(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> [UInt8]?

    /// Begins to compute vectors or scores, which `step` goes on with until it gives `step` the answer; called only with the
    /// capability `.embed` or `.rerank`. `query` differs from those of all open queries; at most 8 are open. Refuse a
    /// request here by throwing.
    mutating func startEmbedding(_ query: Int, _ request: EmbeddingRequest) throws(EngineFault)

    /// Drops an open query at once. Returns the tokens that were computed for it.
    mutating func cancelEmbedding(_ query: Int) -> Int

    /// Begins a sequence: a number from 0 to below `LoadedModel.maxSequences` that is free. Refuse a request here by
    /// throwing, then the sequence is free again. Leave the computing to `step`, also that of a long prompt's tokens.
    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault)

    /// Drops a running sequence at once; its number is free again. Returns what its prompt cost.
    mutating func cancel(_ sequence: Int) -> PromptTokens

    /// Computes one decode step for the sequences in `step.sequences`, and gives `step` their tokens and endings; and a part
    /// of what `step.embeddings` wait for, so that neither starves. Called only while some sequence has credit, or some
    /// such query is open. Keep it short: `Backend` handles what the agent says between steps. A
    /// step that may take seconds must call `step.attend` whenever a part of it is computed, or the agent takes the
    /// backend for hung, and looks into `step.news`. A fault that is thrown here ends the whole backend; use `step.fail`
    /// for the fault of one sequence.
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace
}

extension Engine {
    public static var capabilities: [Capability] { [] }

    public mutating func startEmbedding(_ query: Int, _ request: EmbeddingRequest) throws(EngineFault) {
        throw EngineFault(.unsupported, "\(Self.name) makes no vectors")
    }

    public mutating func cancelEmbedding(_ query: Int) -> Int { 0 }

    public mutating func inspect(_ request: LoadRequest) throws(EngineFault) -> InspectedModel {
        throw EngineFault(.unsupported, "\(Self.name) does not inspect models")
    }

    public mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int? {
        throw EngineFault(.unsupported, "\(Self.name) does not count tokens")
    }

    public mutating func tokenize(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> TokenList? {
        throw EngineFault(.unsupported, "\(Self.name) does not tell the tokens of a prompt")
    }

    public mutating func text(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> [UInt8]? {
        throw EngineFault(.unsupported, "\(Self.name) does not tell the text of a prompt")
    }
}

/// When the next step can be useful.
public enum Pace: Equatable, Sendable {
    /// At once.
    case again
    /// Not before a sequence or an embedding starts, gets credit or is cancelled.
    case idle
    /// At this time of CLOCK_MONOTONIC, in nanoseconds, or earlier when something happens.
    case at(nanoseconds: UInt64)
}

/// Something that a backend can do beyond plain completion.
public struct Capability: Hashable, Sendable {
    /// The name in the contract, 1 to 64 bytes.
    public let name: String

    public init(_ name: String) { self.name = name }

    /// Renders conversations with the model's own chat template.
    public static let chat = Capability("chat")
    /// Counts the tokens of a prompt without computing a completion.
    public static let countTokens = Capability("count_tokens")
    /// Tells the tokens of a prompt, and its text.
    public static let tokenize = Capability("tokenize")
    /// Tells what a model is and what loading it takes, without loading it.
    public static let inspect = Capability("inspect")
    /// Loads weights in several files (`LoadRequest.furtherWeightsDescriptors`).
    public static let splitWeights = Capability("split_weights")
    /// Takes a chat template in place of the model's own (`LoadRequest.chatTemplate`).
    public static let chatTemplate = Capability("chat_template")
    /// Tells the model's reasoning apart from its answer to a conversation (`Step.emit`).
    public static let reasoning = Capability("reasoning")
    /// Takes messages in parts of text; BackendKit joins them.
    public static let parts = Capability("parts")
    /// Shows tools to the model, and tells its calls apart from its answer (`GenerateRequest.tools`, `Step.emit`).
    public static let tools = Capability("tools")
    /// Looks for the request's stop strings itself (`Stopping.stop`, `Ending.stopString`).
    public static let stopStrings = Capability("stop_strings")
    /// Computes with low-rank adapters of the model (`LoadRequest.adapters`, `GenerateRequest.adapters`).
    public static let adapters = Capability("adapters")
    /// Knows the samplers beyond the usual ones (`Sampling.penaltyWindow` and what follows it, but for `logitBias`).
    public static let samplers = Capability("samplers")
    /// Adds to the logits of tokens (`Sampling.logitBias`).
    public static let logitBias = Capability("logit_bias")
    /// Holds ends back (`Stopping.minTokens`).
    public static let minTokens = Capability("min_tokens")
    /// Tells the log-probabilities of tokens (`GenerateRequest.logprobs`, `Step.emit`).
    public static let logprobs = Capability("logprobs")
    /// Holds completions to a grammar (`GenerateRequest.grammar`).
    public static let grammar = Capability("grammar")
    /// Drafts tokens by looking them up in the sequence (`LoadRequest.draftLookup`).
    public static let draftLookup = Capability("draft_lookup")
    /// Goes on with a completion that an earlier process began (`GenerateRequest.generatedTokenIDs`). Offer it only if what
    /// follows depends on nothing else than the request, with its seed, and those tokens.
    public static let continues = Capability("continue")
    /// Makes vectors of inputs (`startEmbedding`).
    public static let embed = Capability("embed")
    /// Scores documents (`startEmbedding`).
    public static let rerank = Capability("rerank")
    /// Makes completions: never among `Engine.capabilities`, which all have it; only a model can lack it
    /// (`LoadedModel.lacking`).
    public static let generate = Capability("generate")
    /// Drafts tokens with a second, smaller model (`LoadRequest.draftWeightsDescriptor`).
    public static let draftModel = Capability("draft_model")
}

/// The prompt tokens of a sequence.
public struct PromptTokens: Equatable, Sendable {
    /// Tokens of the prompt, template included.
    public var total: Int
    /// The tokens of these that came from the KV cache and were not computed.
    public var cached: Int

    public init(total: Int, cached: Int = 0) {
        self.total = total
        self.cached = cached
    }
}

/// How a completion ended well.
public enum Ending: Equatable, Sendable {
    /// The model ended its turn.
    case endOfTurn
    /// The request's stop token was met; it is not emitted.
    case stopToken(UInt32)
    /// The string at this place of the request's `Stopping.stop` was met; needs the capability `.stopStrings`.
    case stopString(Int)
    /// `max_tokens` was reached, or the context is full.
    case length
}
