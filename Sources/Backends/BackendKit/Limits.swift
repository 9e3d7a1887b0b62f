internal import BackendIPC

/// The limits of a backend's memory and of its messages.
enum Limits {
    /// With more than this waiting to be written no step is computed, because the agent does not read.
    static let steppingOutputBytesMax = 1 << 20
    /// With more than this waiting the process ends: answers to an agent that asks and never reads would pile up.
    static let outputBytesMax = 64 << 20
    /// What one write offers the socket; after POLLOUT a socket takes this much without blocking.
    static let writeBytesMax = 64 << 10
    /// A longer run is cut in two, so that every frame stays below the agent's limit.
    static let runBytesMax = 32 << 10
    /// What an envelope adds to its batch at most: a tag and a length.
    static let envelopeBytesMax = 16
    /// The least time between two `LoadProgress`, in nanoseconds: ten a second.
    static let progressIntervalNanoseconds: UInt64 = 100_000_000
    /// How long the last message may take to be written.
    static let lastWordsMilliseconds: UInt64 = 1_000
    /// The least time between two reads of the socket within a step.
    static let attentionIntervalNanoseconds: UInt64 = 100_000_000
    /// Messages that came within a step and wait for its end may have this many bytes together; then no more is read.
    static let deferredBytesMax = 64 << 20
    /// How long an unanswered query waits before the engine is asked again, while nothing is computed.
    static let queryIntervalNanoseconds: UInt64 = 2_000_000
    static let faultBytesMax = ContractLimits.faultBytesMax
}
