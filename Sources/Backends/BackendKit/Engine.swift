/// What a backend computes with: the one type that its author writes. `Backend.run` speaks the contract with the agent
/// and calls the engine, always from the one thread that called `run`, never two functions at once.
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
    /// What the backend calls itself: 1 to 64 letters, digits, '.', '_' and '-'.
    static var name: String { get }
    /// Its version, at most 64 bytes.
    static var version: String { get }
    /// What it can do beyond plain completion; what is not named is never asked of it. None by default.
    static var capabilities: [Capability] { get }

    /// Loads the one model that this process serves; called once, first. It may take minutes: call `progress` with 0 to
    /// 1 now and then, as often as you like. A fault ends the backend.
    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel

    /// How many tokens the prompt has, as `start` would count it; called only with the capability `.countTokens`. nil
    /// when counting takes long: the same query is asked again, some milliseconds and at most a step later, until it has
    /// an answer or a fault. `query` differs from those of all other open queries.
    mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int?

    /// Begins a sequence: a number from 0 to below `LoadedModel.maxSequences` that is free. Refuse a request here by
    /// throwing, then the sequence is free again. Leave the computing to `step`, also that of a long prompt's tokens.
    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault)

    /// Drops a running sequence at once; its number is free again. Returns what its prompt cost.
    mutating func cancel(_ sequence: Int) -> PromptTokens

    /// Computes one decode step for the sequences in `step.sequences`, and gives it their tokens and endings. Called
    /// only while some sequence has credit. Keep it short: what the agent says is heard between steps. A step that may take
    /// seconds calls `step.attend` whenever a part of it is computed, or the agent takes the backend for hung, and looks into
    /// `step.news`. A fault here is the whole backend's and ends it; one sequence's fault is given to `step.fail`.
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace
}

extension Engine {
    public static var capabilities: [Capability] { [] }

    public mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int? {
        throw EngineFault(.unsupported, "\(Self.name) does not count tokens")
    }
}

/// When the next step can be of use.
public enum Pace: Equatable, Sendable {
    /// At once.
    case again
    /// Not before a sequence starts, gets credit or is cancelled.
    case idle
    /// At this moment of CLOCK_MONOTONIC, in nanoseconds, or when something happens before.
    case at(nanoseconds: UInt64)
}

/// Something that a backend can do beyond plain completion.
public struct Capability: Hashable, Sendable {
    /// As in the contract, 1 to 64 bytes.
    public let name: String

    public init(_ name: String) { self.name = name }

    /// Renders conversations with the model's own chat template.
    public static let chat = Capability("chat")
    /// Counts the tokens of a prompt without computing a completion.
    public static let countTokens = Capability("count_tokens")
}

/// What a sequence's prompt cost.
public struct PromptTokens: Equatable, Sendable {
    /// Tokens of the prompt, template included.
    public var total: Int
    /// Of these, how many did not have to be computed.
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
    /// `max_tokens` was reached, or the context is full.
    case length
}
