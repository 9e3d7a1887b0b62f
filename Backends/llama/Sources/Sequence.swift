import BackendKit
import LlamaPlanning

/// One running completion.
struct Sequence {
    let number: Int
    /// The cache that holds its computed tokens.
    let cache: Int
    /// The scope that it is computed for, which its adapters are a part of.
    let scope: [UInt8]
    let adapters: AdapterSet
    /// Order of arrival: earlier prompts are computed first.
    let arrival: UInt64
    /// Prompt and completion; all but the last token of a completion are computed before the next is chosen.
    var tokens: [Int32]
    /// The tokens at its end that an earlier process has sent, as long as the sampler and the answer do not know them.
    var unheard = 0
    /// The number of `tokens` that the cache holds.
    var computed: Int
    private(set) var promptTokens: PromptTokens
    /// The completion ends when there are this many tokens.
    let tokensMax: Int
    let stopTokenIDs: [UInt32]
    let ignoresEndOfTurn: Bool
    let sampler: TokenSampler
    /// Whether its text is held to a form.
    let isHeld: Bool
    /// How many alternatives come with the log-probability of each token; nil: none is told.
    let logprobs: Int?
    /// Nil where all that the model writes is text for the consumer.
    let answer: AnswerText?
    /// The beginning of its prompt that an earlier sequence computes; nothing is computed for this one before it is
    /// there.
    var beginning: SharedBeginning?
    /// How many tokens are drafted for it.
    var draftLengths: [DraftSource: DraftLength] = [:]
    /// Whether it was given cells to compute in (`CacheRoom`).
    var hasRoom = false
    /// It gave way to others, and no sequence has ended since.
    var awaitsEnd = false
    /// Of the computed tokens, those whose cells another sequence held first.
    var shared = 0

    /// Tokens that must be computed before the next can be chosen: 1 while it generates, more while its prompt is new.
    var uncomputed: Int { tokens.count - computed }

    /// Whether its tokens from here on are computed one by one: those that an earlier process has sent, too, where they are few,
    /// as that process did. Together they would be added up in another order, and not go on to the same numbers.
    var computesSingly: Bool { uncomputed == 1 || isCatchingUp && computed >= promptTokens.total }

    /// The tokens that may be computed together, from the first on.
    var together: Int { isCatchingUp ? promptTokens.total : tokens.count }

    private var isCatchingUp: Bool { (1...Limits.catchUpTokensMax).contains(unheard) }

    /// Whether it is held to a form, whole, and nothing can follow.
    var isOver: Bool { isHeld && sampler.isOver }

    /// Its cache now holds so many tokens of its prompt, which another sequence computed.
    mutating func take(_ tokens: Int) {
        beginning = nil
        computed = tokens
        shared = tokens
        promptTokens.cached = min(tokens, promptTokens.total)
    }

    /// Its cells go to others; all its tokens are computed again once it has room.
    mutating func giveWay() {
        beginning = nil
        computed = 0
        shared = 0
        promptTokens.cached = 0
        hasRoom = false
        awaitsEnd = true
    }

    func member(isRunnable: Bool) -> CacheRoom.Member {
        CacheRoom.Member(
            sequence: number, arrival: arrival, cells: max(0, tokens.count - shared), isHolding: computed > 0,
            hasRoom: hasRoom, isRunnable: isRunnable, awaitsEnd: awaitsEnd)
    }
}
