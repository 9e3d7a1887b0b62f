/// The limits of the backend contract that both ends hold each other to. `backend.proto` names the same figures.
package enum ContractLimits {
    /// The revisions of the contract that this code speaks.
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
    /// The longest name of those for whom a sequence is computed.
    package static let cacheScopeBytesMax = 32
    /// The longest message of a backend that is no `TokenBatch`, and the longest `Finish`.
    package static let messageBytesMax = 4_096
    /// Fields that this revision does not know: in an envelope and in a batch, and in a run for each of its tokens and its
    /// finish. A later revision may add some; a flood of them is work for nothing.
    package static let unknownBytesMax = 1_024
    /// A context counts as full when at most so many of its tokens are unused: some engines keep a few for themselves.
    package static let contextSlackTokens = 8
    /// Queries and pings that wait for their answers.
    package static let unansweredMax = 1_024
}
