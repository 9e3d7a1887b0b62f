/// The limits of the backend contract, which each end checks of the other. `backend.proto` names the same figures.
package enum ContractLimits {
    /// The revisions of the contract that this code supports.
    package static let revisions: ClosedRange<UInt32> = 1...2
    /// The longest frame from the agent to a backend.
    package static let agentFrameBytesMax = 8 << 20
    /// The longest frame from a backend to the agent, unless `Welcome.max_frame_bytes` names another.
    package static let backendFrameBytesMax = 1 << 20
    package static let nameBytesMax = 64
    package static let versionBytesMax = 64
    package static let capabilitiesMax = 32
    package static let capabilityBytesMax = 64
    package static let faultBytesMax = 1_024
    /// The most sequences that one backend may run at once.
    package static let sequencesMax = 65_536
    /// The most text that one token may have: without it a backend without credit could still flood with text.
    package static let tokenTextBytesMax = 1_024
    /// The most text of a run's `finish`: what its backend held back.
    package static let finishTextBytesMax = 16 << 10
    /// The most alternatives for one token, and the longest text of a token or alternative, in its log-probabilities.
    package static let logprobAlternativesMax = 20
    package static let logprobTextBytesMax = 128
    /// The most bytes of a token or of an alternative in a run's log-probabilities.
    package static let logprobBytesMax = 160
    /// The longest `Loaded.sampling_defaults`.
    package static let samplingDefaultsBytesMax = 1_024
    /// The longest `cache_scope`.
    package static let cacheScopeBytesMax = 32
    /// The longest result of a `Tokenized`, but for a fault.
    package static let tokenizedBytesMax = 1_000_000
    /// The most inputs or documents of an `Embed`, and the most numbers of all its vectors.
    package static let embedInputsMax = 1_024
    package static let embedNumbersMax = 250_000
    /// The most numbers of one vector.
    package static let embeddingDimensionsMax = 65_536
    /// The most `Embed` that a backend has not answered.
    package static let embedsMax = 8
    /// The longest message of a backend that is no `TokenBatch`, no `Tokenized` and no `Embedded`, and the longest `Finish`.
    package static let messageBytesMax = 4_096
    /// The bytes of unknown fields in an envelope, in a batch, and in a run for each of its tokens and its finish. A
    /// later revision may add fields; a flood of them would be useless work.
    package static let unknownBytesMax = 1_024
    /// A context counts as full when at most this many of its tokens are unused: some engines reserve a few.
    package static let contextSlackTokens = 8
    /// Queries and pings that wait for their answers.
    package static let unansweredMax = 1_024
}
