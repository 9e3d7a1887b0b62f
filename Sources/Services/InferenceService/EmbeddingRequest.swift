internal import BackendIPC
internal import GRPC

/// The part of a `hearth.v1.EmbedRequest` or `RerankRequest` that the agent itself has to know. Only the backend reads
/// the inputs; it gets the bytes as they came.
struct EmbeddingRequest: Equatable {
    var task: Embed.Task
    var model = ""
    /// The number of inputs, or of documents.
    var count = 0
    /// Whether an input is a conversation.
    var hasMessages = false
    var messageContents = TurnRequest.MessageContents()
    /// The number of `hearth.v1.Pooling`.
    var pooling: Int32 = 0
    var normalises = true
    /// The length of the vectors in the answer; nil: all of theirs.
    var dimensions: UInt32?
    /// The bytes of the query that documents are to answer.
    var queryBytes = 0
    /// The most documents in the answer; nil: all.
    var topN: UInt32?
    var keepAlive: TurnRequest.Duration?

    init(_ task: Embed.Task) { self.task = task }

    var keepAliveSeconds: UInt32? { keepAlive?.wholeSeconds }
}

extension EmbeddingRequest {
    /// Throws INVALID_ARGUMENT for what needs no model to be known as wrong, and `RequestScan` has not found.
    func check() throws(Status) {
        let most = ContractLimits.embedInputsMax
        switch task {
        case .embed:
            if count == 0 { throw RequestValidation.invalid("inputs", "is empty", "1 to \(most) inputs") }
            if !(0...3).contains(pooling) {
                throw RequestValidation.invalid(
                    "pooling", "is \(pooling)", "POOLING_MEAN, POOLING_CLS, POOLING_LAST, or none")
            }
            if dimensions == 0 {
                throw RequestValidation.invalid("dimensions", "is 0", "1 or more; leave it out for all")
            }
        case .rerank:
            if queryBytes == 0 { throw RequestValidation.invalid("query", "is empty", "one byte or more") }
            if count == 0 { throw RequestValidation.invalid("documents", "is empty", "1 to \(most) documents") }
            if topN == 0 { throw RequestValidation.invalid("top_n", "is 0", "1 or more; leave it out for all") }
        }
        if let keepAlive { try RequestValidation.check(keepAlive: keepAlive) }
    }

    /// Throws INVALID_ARGUMENT for what the vectors of a model cannot be.
    /// - Parameters:
    ///   - whole: the numbers of one of its vectors.
    ///   - shorter: the lengths that they can be cut to.
    func check(model: String, dimensions whole: UInt32, shorter: [UInt32]) throws(Status) {
        guard task == .embed else { return }
        if let dimensions, dimensions != whole, !shorter.contains(dimensions) {
            let allowed = (shorter + [whole]).map { "\($0)" }.joined(separator: ", ")
            throw RequestValidation.invalid(
                "dimensions", "is \(dimensions), which '\(model)' was not trained for", allowed)
        }
        let most = ContractLimits.embedNumbersMax / Int(max(1, whole))
        guard count > most else { return }
        throw RequestValidation.invalid(
            "inputs", "has \(count) inputs, whose vectors have \(whole) numbers each",
            "at most \(most) inputs, of \(ContractLimits.embedNumbersMax) numbers in all; send the rest in another request"
        )
    }
}
