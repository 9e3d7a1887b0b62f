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
    /// The adapters that requests may choose, ordered by name, at most 16; none without the capability `.adapters`.
    public var adapters: [Adapter]
    /// Whether to draft tokens by looking up what followed the last ones earlier in the sequence; false without the
    /// capability `.draftLookup`.
    public var draftLookup: Bool
    /// The descriptor of the weights of a second, smaller model that drafts tokens, one file, open for reading and seekable
    /// for the life of the process; nil where there is none, and always without the capability `.draftModel`. Where
    /// `draftLookup` is set too, it drafts what the lookup does not find.
    public var draftWeightsDescriptor: Int32?

    /// A low-rank adapter (LoRA) of the model.
    public struct Adapter: Equatable, Sendable {
        /// The name that requests choose it by.
        public var name: String
        /// The descriptor of its file, open for reading and seekable for the life of the process.
        public var descriptor: Int32
        /// How strongly it is applied where a request does not say.
        public var scale: Float
        /// Whether it is applied where a request names no adapters.
        public var isDefault: Bool

        public init(name: String, descriptor: Int32, scale: Float = 1, isDefault: Bool = false) {
            self.name = name
            self.descriptor = descriptor
            self.scale = scale
            self.isDefault = isDefault
        }
    }

    public init(
        model: String, weightsDescriptor: Int32? = nil, furtherWeightsDescriptors: [Int32] = [],
        weightsBytes: UInt64 = 0, contextTokens: Int = 0, maxSequences: Int = 1, threads: Int = 1,
        options: [String: String] = [:], chatTemplate: String? = nil, adapters: [Adapter] = [],
        draftLookup: Bool = false, draftWeightsDescriptor: Int32? = nil
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
        self.adapters = adapters
        self.draftLookup = draftLookup
        self.draftWeightsDescriptor = draftWeightsDescriptor
    }

    init(_ load: Load) {
        self.init(
            model: load.model, weightsDescriptor: load.weightsDescriptor.map { Int32(truncatingIfNeeded: $0) },
            furtherWeightsDescriptors: load.furtherWeightsDescriptors.map { Int32(truncatingIfNeeded: $0) },
            weightsBytes: load.weightsBytes, contextTokens: Int(load.contextTokens),
            maxSequences: Int(load.maxSequences), threads: Int(load.threads), options: load.options,
            chatTemplate: load.chatTemplate.isEmpty ? nil : load.chatTemplate,
            adapters: load.adapters.map {
                Adapter(
                    name: $0.name, descriptor: Int32(truncatingIfNeeded: $0.descriptor), scale: $0.scale,
                    isDefault: $0.isDefault)
            }, draftLookup: load.draftLookup,
            draftWeightsDescriptor: load.draftWeightsDescriptor.map { Int32(truncatingIfNeeded: $0) })
    }
}

/// What the loaded model offers.
public struct LoadedModel: Equatable, Sendable {
    /// Tokens of prompt and completion together that one sequence may have; at least 1.
    public var maxContextTokens: Int
    /// The most sequences that run at once; at least 1, at most `LoadRequest.maxSequences`.
    public var maxSequences: Int
    /// The values that hold where neither a request nor the model's settings say, for consumers to see. The seed and lists
    /// are not told.
    public var samplingDefaults = Sampling()
    /// The numbers of a vector, at most 65,536; at least 1 where the model has the capability `.embed`.
    public var embeddingDimensions = 0
    /// The capabilities of `Engine.capabilities` that this model lacks; `.generate` among them: it makes no completions.
    public var lacking: [Capability] = []

    public init(maxContextTokens: Int, maxSequences: Int) {
        self.maxContextTokens = maxContextTokens
        self.maxSequences = maxSequences
    }
}

/// What a model is, and what loading it would take. Texts are cut at 256 bytes.
public struct InspectedModel: Equatable, Sendable {
    /// What `LoadedModel` would say.
    public var offer: LoadedModel
    /// All the memory that the process would take beside the weights, in bytes; at least 1.
    public var memoryBytes: UInt64
    /// The part of it for the sequences' caches and for computing.
    public var contextBytes: UInt64 = 0
    /// The part of it for copies of weights in another order.
    public var copiedWeightsBytes: UInt64 = 0
    /// The tokens that the caches of all sequences together hold; 0 where it is unknown.
    public var cacheTokens = 0
    /// The family of models, such as "llama"; empty where it is unknown, like the other texts.
    public var architecture = ""
    /// The name that the model's authors gave it.
    public var name = ""
    /// The number of weights; 0 where it is unknown.
    public var parameters: UInt64 = 0
    /// How the weights are stored, such as "Q4_K - Medium".
    public var quantisation = ""
    /// The longest context that the model was trained for, in tokens; 0 where it is unknown.
    public var trainedContextTokens = 0
    /// The licence that the file names.
    public var licence = ""
    /// Whether it renders conversations with a template of its own.
    public var hasChatTemplate = false
    /// Why its template cannot be used, to complete "the chat template ..."; empty where it can, or there is none.
    public var templateFlaw = ""

    public init(offer: LoadedModel, memoryBytes: UInt64) {
        self.offer = offer
        self.memoryBytes = memoryBytes
    }
}

extension Inspected {
    init(_ model: InspectedModel) {
        self.init()
        contextTokens = UInt32(clamping: model.offer.maxContextTokens)
        maxSequences = UInt32(clamping: model.offer.maxSequences)
        memoryBytes = max(1, model.memoryBytes)
        contextBytes = model.contextBytes
        copiedWeightsBytes = model.copiedWeightsBytes
        architecture = Self.cut(model.architecture)
        name = Self.cut(model.name)
        parameters = model.parameters
        quantisation = Self.cut(model.quantisation)
        trainedContextTokens = UInt32(clamping: model.trainedContextTokens)
        licence = Self.cut(model.licence)
        hasChatTemplate = model.hasChatTemplate
        templateFlaw = Self.cut(model.templateFlaw)
        cacheTokens = UInt64(clamping: model.cacheTokens)
    }

    /// The longest beginning of whole characters within the contract's bound.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > textBytesMax else { return text }
        var cut = ""
        for character in text.prefix(textBytesMax) {
            if cut.utf8.count + character.utf8.count > textBytesMax { break }
            cut.append(character)
        }
        return cut
    }
}
