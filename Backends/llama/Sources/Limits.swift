/// What bounds the backend's memory and the length of a step. `PrefillPace`, `PreTokenizer`, `CacheTable`, `MemoryPlan` and
/// `TextQueue` have those of what they decide.
enum Limits {
    /// The context of a model that was trained on more, when the manifest names none: caches cost memory.
    static let contextTokensDefaultMax = 8_192
    /// What longer contexts take is reckoned from this one: even one that is only measured takes some.
    static let measuredContextTokensMax = 4_096
    /// llama.cpp has no more sequences in one context.
    static let sequencesMax = 256
    /// Tokens of one decode step; at least as many as sequences.
    static let batchTokens = 512
    /// Text up to this long is turned into tokens at once, longer text on a thread of its own.
    static let textAtOnceBytesMax = 4_096
    /// What a message counts beside its text: a template computes as long for it.
    static let messageBytes = 256
    /// The most characters without a blank that a template may write between messages.
    static let templateRunCharacters = 1_024
    /// How often a step without anything to compute looks whether long text has become tokens.
    static let textIntervalNanoseconds: UInt64 = 1_000_000
    /// Text that takes longer to become tokens counts as no progress: the agent then restarts the backend.
    static let textProcessorSecondsMax = 60
    /// Weights that a processor's cache holds: reading them again within one step costs nothing, so that every sequence
    /// has a cache of its own. Beyond this the weights are the cost, and are read once for all sequences.
    static let separateCachesWeightsBytesMax: UInt64 = 32 << 20
    /// Below this a temperature counts as 0: divided by it, logits leave the range of their type.
    static let temperatureMin: Float = 1e-5
    /// No token's text is longer in a frame.
    static let pieceBytesMax = 1_024
    /// What the library may say of why something failed.
    static let errorBytesMax = 512
}
