import BackendKit
import EchoTokens
import Glibc

/// A backend without a model, for tests and demonstrations: its tokens are known beforehand, and the options of a
/// request script its behaviour.
struct EchoEngine: Engine {
    static let name = "echo"
    static let version = "1.0.0"
    static let capabilities: [Capability] = [
        .chat, .countTokens, .tokenize, .splitWeights, .reasoning, .adapters, .draftLookup, .logitBias, .minTokens,
        .logprobs, .parts, .tools, .grammar, .embed, .rerank, .continues,
    ]

    static let contextTokensMax = 1_048_576
    static let sequencesMax = 4_096
    /// The numbers of a vector, where the manifest does not say.
    static let dimensions = 64
    /// The length of a completion without `max_tokens`.
    static let turnTokens: UInt64 = 64

    private var contextTokens = contextTokensMax
    private var sequences: [EchoSequence?] = []
    private var adapters = EchoAdapters()
    /// Whether it says that it drafts tokens.
    private var drafts = false
    /// By their queries.
    private var embeddings: [Int: EchoEmbedding] = [:]
    private var dimensions = Self.dimensions
    private var embeddingDelayMilliseconds: UInt64 = 0
    /// The options of a request that does not say, from the manifest.
    private var usualOptions: [String: String] = [:]

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        var delayMilliseconds: UInt64 = 0
        var fault: EngineFault.Code?
        var sequenceCount = min(request.maxSequences, Self.sequencesMax)
        var lacking: [Capability] = []
        for (key, value) in request.options {
            let option = Option(key: key, value: value)
            switch key {
            case "load_delay_ms": delayMilliseconds = try option.number(0...3_600_000)
            case "load_fault": fault = try option.faultCode()
            case "max_sequences": sequenceCount = min(sequenceCount, Int(try option.number(1...4_096)))
            case "dimensions": dimensions = Int(try option.number(1...65_536))
            case "embed_delay_ms": embeddingDelayMilliseconds = try option.number(0...3_600_000)
            case "lacking": lacking = value.split(separator: ",").map { Capability(String($0)) }
            default: continue
            }
        }
        _ = try EchoOptions(request.options)
        usualOptions = request.options
        progress(0)
        wait(milliseconds: delayMilliseconds, progress: progress)
        if let fault { throw EngineFault(fault, "the option load_fault asked for this") }
        adapters = EchoAdapters(request.adapters)
        drafts = request.draftLookup
        progress(1)
        if request.contextTokens > 0 { contextTokens = min(request.contextTokens, Self.contextTokensMax) }
        sequences = Array(repeating: nil, count: sequenceCount)
        var loaded = LoadedModel(maxContextTokens: contextTokens, maxSequences: sequenceCount)
        loaded.embeddingDimensions = lacking.contains(.embed) ? 0 : dimensions
        loaded.lacking = lacking
        return loaded
    }

    private func wait(milliseconds: UInt64, progress: (Float) -> Void) {
        let begin = Backend.nowNanoseconds
        let end = begin + milliseconds * 1_000_000
        while true {
            let now = Backend.nowNanoseconds
            guard now < end else { return }
            progress(Float(now - begin) / Float(end - begin))
            poll(nil, 0, CInt(min((end - now) / 1_000_000 + 1, 20)))
        }
    }

    mutating func countTokens(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> Int? {
        EchoPrompt.wordCount(of: request.prompt)
    }

    mutating func tokenize(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> TokenList? {
        var tokens = TokenList()
        if case .tokenIDs(let ids) = request.prompt {
            for id in ids { (try Self.text(of: id)).withUnsafeBytes { _ = tokens.append(id, text: $0) } }
            return tokens
        }
        let text = try promptText(request.prompt)
        text.withUnsafeBytes { bytes in
            EchoPrompt.visitTokens(of: bytes) { id, range in
                tokens.append(id, text: UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        }
        return tokens
    }

    mutating func text(_ query: Int, _ request: GenerateRequest) throws(EngineFault) -> [UInt8]? {
        try promptText(request.prompt)
    }

    /// The text of a prompt; its chat template puts each content on lines of its own.
    private func promptText(_ prompt: GenerateRequest.Prompt) throws(EngineFault) -> [UInt8] {
        switch prompt {
        case .text(let text): return Array(text.utf8)
        case .messages(let messages): return Array(messages.map(\.content).joined(separator: "\n").utf8)
        case .tokenIDs(let ids):
            var text: [UInt8] = []
            for id in ids { text += try Self.text(of: id) }
            return text
        }
    }

    private static func text(of id: UInt32) throws(EngineFault) -> [UInt8] {
        guard id < EchoTokens.vocabulary else {
            throw EngineFault(.invalidArgument, "\(id) is no token of echo; its ids are below \(EchoTokens.vocabulary)")
        }
        return Array(EchoTokens.text(of: id).utf8)
    }

    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {
        let options = try EchoOptions(usualOptions.merging(request.backendOptions) { $1 })
        if let code = options.fault, options.faultAt == 0 {
            throw EngineFault(code, "the option fault asked for this")
        }
        let variation = try adapters.variation(for: request.adapters)
        sequences[sequence] = try EchoSequence(
            request, options: options, contextTokens: contextTokens, variation: variation, drafts: drafts)
    }

    mutating func cancel(_ sequence: Int) -> PromptTokens {
        let prompt = sequences[sequence]?.prompt ?? PromptTokens(total: 0)
        sequences[sequence] = nil
        return prompt
    }

    mutating func startEmbedding(_ query: Int, _ request: EmbeddingRequest) throws(EngineFault) {
        embeddings[query] = EchoEmbedding(
            request, dimensions: dimensions, contextTokens: contextTokens,
            delayMilliseconds: embeddingDelayMilliseconds)
    }

    mutating func cancelEmbedding(_ query: Int) -> Int { embeddings.removeValue(forKey: query)?.computedTokens ?? 0 }

    /// Computes an input of each query that is due; returns when the next one is.
    private mutating func advanceEmbeddings(_ step: inout Step, now: UInt64) -> UInt64 {
        var next = UInt64.max
        for query in step.embeddings {
            do throws(EngineFault) {
                if let due = try embeddings[query]?.advance(now: now) {
                    next = min(next, due)
                    continue
                }
                embeddings.removeValue(forKey: query)?.finish(query, in: &step)
            } catch {
                let computed = embeddings.removeValue(forKey: query)?.computedTokens ?? 0
                step.fail(embedding: query, error, tokens: computed)
            }
        }
        return next
    }

    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace {
        let now = Backend.nowNanoseconds
        var next = advanceEmbeddings(&step, now: now)
        for sequence in step.sequences {
            switch sequences[sequence]?.advance(sequence, now: now, in: &step) {
            case .goesOn(let due): next = min(next, due)
            case .over: sequences[sequence] = nil
            case .silent, nil: continue
            }
        }
        if next == .max { return .idle }
        return next <= now ? .again : .at(nanoseconds: next)
    }
}
