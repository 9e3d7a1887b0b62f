import BackendKit
import EchoTokens
import Glibc

/// One query for vectors or scores: the inputs that are left, one of which is computed in each step.
struct EchoEmbedding {
    private let request: EmbeddingRequest
    private let dimensions: Int
    private let contextTokens: Int
    private let delayNanoseconds: UInt64
    private let crashingInput: String?
    private var due: UInt64
    private var result = EmbeddingResult(values: [], tokens: [])

    init(
        _ request: EmbeddingRequest, dimensions: Int, contextTokens: Int, delayMilliseconds: UInt64,
        crashingInput: String?
    ) {
        self.request = request
        self.dimensions = dimensions
        self.contextTokens = contextTokens
        delayNanoseconds = delayMilliseconds * 1_000_000
        self.crashingInput = crashingInput
        due = Backend.nowNanoseconds + delayNanoseconds
    }

    var computedTokens: Int { result.tokens.reduce(0, +) }

    /// Computes the next input if it is due. Returns when the one behind it is; nil once all are computed.
    mutating func advance(now: UInt64) throws(EngineFault) -> UInt64? {
        guard now >= due else { return due }
        let index = result.tokens.count
        switch request.task {
        case .embed(let inputs, let pooling):
            if let crashingInput, case .text(crashingInput) = inputs[index] { abort() }
            let (prompt, leftOut) = try fitted(inputs[index], of: "inputs[\(index)]", others: 0)
            for place in 0..<dimensions {
                result.values.append(EchoVectors.number(at: place, pooling: pooling.rawValue, of: prompt))
            }
            note(tokens: prompt.words.count, leftOut)
        case .rerank(let query, let documents):
            let others = EchoPrompt.wordCount(of: query)
            let (prompt, leftOut) = try fitted(.text(documents[index]), of: "documents[\(index)]", others: others)
            let document = leftOut == 0 ? documents[index] : Self.beginning(of: documents[index], prompt.words.count)
            result.values.append(EchoVectors.score(query: query, document: document))
            note(tokens: others + prompt.words.count, leftOut)
        }
        guard result.tokens.count < request.count else { return nil }
        due = now + delayNanoseconds
        return due
    }

    func finish(_ query: Int, in step: inout Step) { step.finish(embedding: query, result) }

    private mutating func note(tokens: Int, _ leftOut: Int) {
        result.tokens.append(tokens)
        if leftOut > 0, result.leftOutTokens.isEmpty {
            result.leftOutTokens = Array(repeating: 0, count: request.count)
        }
        if leftOut > 0 { result.leftOutTokens[result.tokens.count - 1] = leftOut }
    }

    /// An input with as many of its tokens as fit the context beside `others`, and the number of the rest.
    private func fitted(
        _ input: GenerateRequest.Prompt, of field: String, others: Int
    ) throws(EngineFault) -> (EchoPrompt, leftOut: Int) {
        let prompt = EchoPrompt(input)
        let (count, room) = (prompt.words.count, max(0, contextTokens - others))
        guard count > room else { return (prompt, 0) }
        guard request.truncates, room > 0 else {
            throw EngineFault(
                .contextOverflow,
                "\(field) has \(count) tokens\(others > 0 ? " beside the \(others) of the query" : ""), and the context"
                    + " \(contextTokens); shorten it, or set truncate")
        }
        switch input {
        case .tokenIDs(let ids): return (EchoPrompt(tokenIDs: Array(ids.prefix(room))), count - room)
        case .text(let text): return (EchoPrompt(text: Self.beginning(of: text, room)), count - room)
        case .messages(let messages):
            let text = messages.map(\.content).joined(separator: "\n")
            return (EchoPrompt(text: Self.beginning(of: text, room)), count - room)
        }
    }

    /// The first tokens of a text.
    private static func beginning(of text: String, _ count: Int) -> String {
        let bytes = Array(text.utf8)
        var (left, end) = (count, 0)
        bytes.withUnsafeBytes { memory in
            EchoPrompt.visitTokens(of: memory) { _, range in
                guard left > 0 else { return false }
                left -= 1
                end = range.upperBound
                return true
            }
        }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}
