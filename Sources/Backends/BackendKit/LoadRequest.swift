internal import BackendIPC

/// Which model to load, and what the owner allows it.
public struct LoadRequest: Equatable, Sendable {
    /// The model's id, as consumers name it.
    public var model: String
    /// The descriptor of the weights, or of the first of their parts, open for reading and seekable for the life of the process; nil for a backend
    /// without weights. Map it or read it: no path leads to the file.
    public var weightsDescriptor: Int32?
    /// The descriptors of the second part of the weights and of those that follow, in their order; empty where the weights
    /// are one file, and always without the capability `.splitWeights`.
    public var furtherWeightsDescriptors: [Int32]
    /// The size of the weights in bytes, all parts together.
    public var weightsBytes: UInt64
    /// The longest context wanted, in tokens; 0 leaves it to the model.
    public var contextTokens: Int
    /// The most sequences that will run at once.
    public var maxSequences: Int
    /// The most threads that the owner allows to compute.
    public var threads: Int
    /// The options of the model in the backend's manifest, unchanged.
    public var options: [String: String]
    /// A chat template, Jinja, in place of the model's own; nil: the model's own, and always without the capability
    /// `.chatTemplate`.
    public var chatTemplate: String?

    public init(
        model: String, weightsDescriptor: Int32? = nil, furtherWeightsDescriptors: [Int32] = [],
        weightsBytes: UInt64 = 0, contextTokens: Int = 0, maxSequences: Int = 1, threads: Int = 1,
        options: [String: String] = [:], chatTemplate: String? = nil
    ) {
        self.model = model
        self.weightsDescriptor = weightsDescriptor
        self.furtherWeightsDescriptors = furtherWeightsDescriptors
        self.weightsBytes = weightsBytes
        self.contextTokens = contextTokens
        self.maxSequences = maxSequences
        self.threads = threads
        self.options = options
        self.chatTemplate = chatTemplate
    }

    init(_ load: Load) {
        self.init(
            model: load.model, weightsDescriptor: load.weightsDescriptor.map { Int32(truncatingIfNeeded: $0) },
            furtherWeightsDescriptors: load.furtherWeightsDescriptors.map { Int32(truncatingIfNeeded: $0) },
            weightsBytes: load.weightsBytes, contextTokens: Int(load.contextTokens),
            maxSequences: Int(load.maxSequences), threads: Int(load.threads), options: load.options,
            chatTemplate: load.chatTemplate.isEmpty ? nil : load.chatTemplate)
    }
}

/// What the loaded model offers.
public struct LoadedModel: Equatable, Sendable {
    /// Tokens of prompt and completion together that one sequence may have; at least 1.
    public var maxContextTokens: Int
    /// The most sequences that run at once; at least 1, at most `LoadRequest.maxSequences`.
    public var maxSequences: Int

    public init(maxContextTokens: Int, maxSequences: Int) {
        self.maxContextTokens = maxContextTokens
        self.maxSequences = maxSequences
    }
}
