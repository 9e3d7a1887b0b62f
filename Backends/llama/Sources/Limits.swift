/// What bounds the backend's memory and the length of a step.
enum Limits {
    /// The context of a model that was trained on more, when the manifest names none: caches cost memory.
    static let contextTokensDefaultMax = 8_192
    /// llama.cpp has no more sequences in one context.
    static let sequencesMax = 256
    /// Tokens of one decode step; at least as many as sequences.
    static let batchTokens = 512
    /// Prompt tokens of one step when prompts take long to compute: never less than this.
    static let prefillTokensMin = 16
    /// A step that computes prompts should take no longer: cancels and pings are seen between steps.
    static let prefillStepNanoseconds: UInt64 = 200_000_000
    /// A free cache is chosen for what it holds only if that saves at least this many tokens.
    static let reusedTokensMin = 16
    /// Weights that a processor's cache holds: reading them again within one step costs nothing, so that every sequence
    /// has a cache of its own. Beyond this the weights are the cost, and are read once for all sequences.
    static let separateCachesWeightsBytesMax: UInt64 = 32 << 20
    /// No token's text is longer in a frame.
    static let pieceBytesMax = 1_024
    /// What the library may say of why a model does not load.
    static let reasonBytesMax = 512
}
