internal import BackendIPC
internal import TerminalText

/// What a backend has told of itself and of its model, as others are told it. What is not told yet is empty, or 0. Pure.
struct BackendFacts: Equatable, Sendable {
    /// "name/version".
    private(set) var version = ""
    /// The capabilities that matter to consumers, without those that its model lacks, and "generate" unless it does.
    private(set) var capabilities: [String] = []
    private(set) var matchesStops = false
    private(set) var maxContextTokens: UInt32 = 0
    private(set) var maxSequences: UInt32 = 0
    private(set) var embeddingDimensions: UInt32 = 0
    /// `Loaded.sampling_defaults`.
    private(set) var samplingDefaults: [UInt8] = []

    mutating func heard(_ hello: Hello) {
        version = printable("\(hello.name)/\(hello.version)")
        capabilities =
            [Hello.generate] + hello.capabilities.filter { !Hello.ofAgent.contains($0) }.map { printable($0) }
        matchesStops = hello.capabilities.contains(Hello.stopStrings)
    }

    mutating func heard(_ loaded: Loaded) {
        maxContextTokens = loaded.maxContextTokens
        maxSequences = loaded.maxSequences
        samplingDefaults = loaded.samplingDefaults
        embeddingDimensions = loaded.embeddingDimensions
        capabilities.removeAll(where: loaded.lacking.contains)
    }
}
