/// The bounds of the backend's memory and of the length of a step. `PrefillPace`, `PreTokenizer`, `CacheTable`,
/// `MemoryPlan` and `TextQueue` have the bounds of their own decisions.
enum Limits {
    /// The context of a model that was trained on more, when the manifest names none. Where sequences share their cells,
    /// one may have those of all, and there are as many as the model was trained on if memory allows.
    static let contextTokensUsual = 8_192
    /// The memory of longer contexts is calculated from this one, because even a measured context takes some.
    static let measuredContextTokensMax = 4_096
    /// The context of a model that makes vectors or scores, when the manifest names none: each input is computed whole in one
    /// step, and takes memory for the logits of all its tokens.
    static let embeddingTokensUsual = 512
    /// The inputs that one step computes.
    static let embeddingInputsMax = 64
    /// The bytes of inputs that are tokenized before a step goes on to compute.
    static let embeddingTextBytesMax = 64 << 10
    /// The most tokens that a template adds to a conversation that is to be cut.
    static let templateTokensMax = 65_536
    /// So many tokens of an earlier process are computed one by one, as that process did, which takes as long as it took;
    /// more are computed as a prompt is.
    static let catchUpTokensMax = 128
    /// llama.cpp has no more sequences in one context.
    static let sequencesMax = 256
    /// Tokens of one decode step; at least as many as sequences.
    static let batchTokens = 512
    /// Text up to this long is turned into tokens at once, longer text on a thread of its own.
    static let textAtOnceBytesMax = 4_096
    /// The bytes that a message counts beside its text, because a template takes as long for it.
    static let messageBytes = 256
    /// The most characters without a blank that a template may write between messages.
    static let templateRunCharacters = 1_024
    /// The interval at which a step with nothing to compute checks whether a long text was tokenized.
    static let textIntervalNanoseconds: UInt64 = 1_000_000
    /// Tokenizing that takes longer counts as no progress: the agent then restarts the backend.
    static let textProcessorSecondsMax = 60
    /// Weights that a processor's cache holds: reading them again within one step costs nothing, so that every sequence
    /// has a cache of its own. Beyond this the weights are the cost, and are read once for all sequences.
    static let separateCachesWeightsBytesMax: UInt64 = 32 << 20
    /// Below this a temperature counts as 0: divided by it, logits leave the range of their type.
    static let temperatureMin: Float = 1e-5
    /// No token's text is longer in a frame.
    static let pieceBytesMax = 1_024
    /// The longest text of a rendered conversation that is told to anybody: as long as the contract lets it be.
    static let renderedBytesMax = 1_000_000
    /// The most bytes of an error message of the library.
    static let errorBytesMax = 512
}
