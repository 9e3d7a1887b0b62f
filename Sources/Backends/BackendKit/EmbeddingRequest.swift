internal import BackendIPC
internal import WireFormat

/// What a consumer wants vectors or scores of. The agent has checked every range before, and divides and cuts the vectors
/// itself.
public struct EmbeddingRequest: Equatable, Sendable {
    public enum Task: Equatable, Sendable {
        /// A vector for each of these, at least one; none is empty.
        case embed([GenerateRequest.Prompt], Pooling)
        /// A score for each of these documents, at least one.
        case rerank(query: String, documents: [String])
    }

    /// How the vectors of an input's tokens become one; the numbers are those of `hearth.v1.Pooling`.
    public enum Pooling: Int32, Sendable, CaseIterable {
        /// As the model was trained.
        case ofModel = 0
        case mean = 1
        /// The first token's.
        case first = 2
        /// The last token's.
        case last = 3
    }

    public var task: Task
    /// Whether inputs, or documents, that do not fit the context are cut; otherwise refuse them, `.contextOverflow`, with
    /// the place of the input and both numbers.
    public var truncates: Bool

    public init(_ task: Task, truncates: Bool = false) {
        self.task = task
        self.truncates = truncates
    }

    /// The number of inputs or documents.
    public var count: Int {
        switch task {
        case .embed(let inputs, _): inputs.count
        case .rerank(_, let documents): documents.count
        }
    }
}

/// The answer to an `EmbeddingRequest`.
public struct EmbeddingResult: Equatable, Sendable {
    /// The vectors of all inputs, one behind the other, each with `LoadedModel.embeddingDimensions` numbers and of any
    /// length; or a score for each document.
    public var values: [Float]
    /// The tokens that were computed for each, at most `LoadedModel.maxContextTokens`.
    public var tokens: [Int]
    /// The tokens that were cut from each; empty: none was cut.
    public var leftOutTokens: [Int]

    public init(values: [Float], tokens: [Int], leftOutTokens: [Int] = []) {
        self.values = values
        self.tokens = tokens
        self.leftOutTokens = leftOutTokens
    }
}

extension EmbeddingRequest {
    /// Decodes the request of an `Embed`; a fault says what is wrong with it.
    init(_ embed: Embed) throws(EngineFault) {
        do throws(WireError) {
            self = embed.task == .rerank ? try Self.rerank(embed.request) : try Self.embed(embed.request)
        } catch {
            throw EngineFault(.invalidArgument, "the request is malformed: \(error)")
        }
        if case .embed(let inputs, _) = task, inputs.count != embed.inputCount {
            throw EngineFault(.invalidArgument, "an input is missing; set messages, text or token_ids in each")
        }
    }

    private static func embed(_ bytes: [UInt8]) throws(WireError) -> EmbeddingRequest {
        var (inputs, pooling, truncates) = ([GenerateRequest.Prompt](), Pooling.ofModel, false)
        try visit(bytes) { field, reader throws(WireError) in
            switch (field.number, field.type) {
            case (2, .bytes):
                if let input = try GenerateRequest.prompt(ofInput: try reader.bytes()) { inputs.append(input) }
            case (3, .varint): pooling = Pooling(rawValue: try reader.enumeration()) ?? .ofModel
            case (6, .varint): truncates = try reader.bool()
            default: try reader.skip(field.type)
            }
        }
        return EmbeddingRequest(.embed(inputs, pooling), truncates: truncates)
    }

    private static func rerank(_ bytes: [UInt8]) throws(WireError) -> EmbeddingRequest {
        var (query, documents, truncates) = ("", [String](), false)
        try visit(bytes) { field, reader throws(WireError) in
            switch (field.number, field.type) {
            case (2, .bytes): query = try reader.string(field: 2)
            case (3, .bytes): documents.append(try reader.string(field: 3))
            case (6, .varint): truncates = try reader.bool()
            default: try reader.skip(field.type)
            }
        }
        return EmbeddingRequest(.rerank(query: query, documents: documents), truncates: truncates)
    }

    private static func visit(
        _ bytes: [UInt8], _ body: (WireField, inout WireReader) throws(WireError) -> Void
    ) throws(WireError) {
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(WireError) in
                var reader = WireReader(memory)
                while let field = try reader.next() { try body(field, &reader) }
            }
        }
        try result.get()
    }
}
