import BackendKit
import CLlama
import LlamaPlanning

// Vectors and scores, by models that continue no text. An input is computed whole in one step, as attention in both directions
// needs it, beside others of the same or of other queries.
extension LlamaEngine {
    /// An open query.
    struct Embedding {
        let request: EmbeddingRequest
        /// The tokens of the query that documents are to answer; nil: not known yet.
        var query: [Int32]?
        /// The tokens of the first inputs; computing begins once all are known, so that one that does not fit is told first.
        var inputs: [[Int32]] = []
        /// The tokens that were cut from each of them.
        var leftOut: [Int] = []
        var values: [Float] = []
        /// The number of inputs that are computed, and their tokens.
        var computed = 0
        var computedTokens = 0

        var result: EmbeddingResult {
            EmbeddingResult(
                values: values, tokens: inputs.map(\.count),
                leftOutTokens: leftOut.contains { $0 > 0 } ? leftOut : [])
        }
    }

    private enum Texts {
        case known
        /// A long one is being tokenized.
        case awaited
        /// The step has tokenized enough.
        case left
    }

    mutating func startEmbedding(_ query: Int, _ request: EmbeddingRequest) throws(EngineFault) {
        let model = try loadedModel()
        switch (request.task, model.facts.pooling) {
        case (.rerank, HEARTH_LLAMA_RANK): break
        case (.rerank, _): throw EngineFault(.unsupported, "\"\(modelID)\" scores no documents")
        case (.embed, HEARTH_LLAMA_RANK), (.embed, HEARTH_LLAMA_NO_POOLING):
            throw EngineFault(.unsupported, "\"\(modelID)\" makes no vectors")
        case (.embed, _): break
        }
        embeddings[query] = Embedding(request: request)
    }

    mutating func cancelEmbedding(_ query: Int) -> Int {
        drop(.embedding(query))
        return embeddings.removeValue(forKey: query)?.computedTokens ?? 0
    }

    /// Computes some inputs of the open queries.
    mutating func embed(_ step: inout Step, _ model: LlamaModel) throws(EngineFault) -> Pace {
        var texts = Texts.known
        var bytes = Limits.embeddingTextBytesMax
        for query in step.embeddings {
            do throws(EngineFault) {
                switch try tokenize(query, model, &bytes) {
                case .known: break
                case .awaited: if texts == .known { texts = .awaited }
                case .left: texts = .left
                }
            } catch {
                _ = cancelEmbedding(query)
                step.fail(embedding: query, error)
            }
        }
        let ready = step.embeddings.compactMap { number -> EmbeddingShares.Query? in
            guard let open = embeddings[number], open.inputs.count == open.request.count else { return nil }
            return EmbeddingShares.Query(number: number, inputs: open.inputs[open.computed...].map(\.count)[...])
        }
        let room = pace.room(.others(generating: 0))
        let shares = EmbeddingShares(
            room: min(room, contextTokens), inputsMax: Limits.embeddingInputsMax, among: ready, after: lastEmbedding)
        guard !shares.shares.isEmpty else {
            if texts == .left { return .again }
            step.hasProgress = textsProgressed()
            return texts == .awaited ? .at(nanoseconds: Backend.nowNanoseconds + Limits.textIntervalNanoseconds) : .idle
        }
        try compute(shares, model, &step)
        return .again
    }

    private mutating func compute(
        _ shares: EmbeddingShares, _ model: LlamaModel, _ step: inout Step
    ) throws(EngineFault) {
        let places = fill(shares, model)
        let began = Backend.nowNanoseconds
        let (attend, news) = (step.attend, step.news)
        let decoded = model.decode {
            attend()
            let cancelled = news().cancelledEmbeddings
            return cancelled.isEmpty || !shares.shares.allSatisfy { cancelled.contains($0.query) }
        }
        switch decoded {
        case .done: break
        case .cut: return
        case .noRoom: throw failure(Int32(HEARTH_LLAMA_NO_ROOM))
        case .failed(let code): throw failure(code)
        }
        pace.took(Backend.nowNanoseconds &- began, promptTokens: shares.tokens, .others(generating: 0))
        lastEmbedding = shares.shares.last?.query
        for (sequence, share) in shares.shares.enumerated() {
            // The query is not held here, so that its numbers are added to in place.
            guard let task = embeddings[share.query]?.request.task else { continue }
            guard let numbers = model.numbers(task, of: share.tokens, at: places[sequence], sequence)
            else {
                _ = cancelEmbedding(share.query)
                step.fail(embedding: share.query, EngineFault(.internal, "llama.cpp made no vector; its log says why"))
                continue
            }
            embeddings[share.query]?.values += numbers
            embeddings[share.query]?.computed += 1
            embeddings[share.query]?.computedTokens += share.tokens
        }
        for query in step.embeddings {
            guard let open = embeddings[query], open.computed == open.request.count else { continue }
            embeddings[query] = nil
            step.finish(embedding: query, open.result)
        }
    }

    /// Puts the inputs into the batch; returns the index of the first token of each.
    private mutating func fill(_ shares: EmbeddingShares, _ model: LlamaModel) -> [Int32] {
        model.forgetAll()
        model.clearBatch()
        var (places, taken) = ([Int32](), [Int: Int]())
        for (sequence, share) in shares.shares.enumerated() {
            guard let open = embeddings[share.query] else { continue }
            let input = open.inputs[open.computed + taken[share.query, default: 0]]
            taken[share.query, default: 0] += 1
            for (position, token) in input.enumerated() {
                let index = model.add(token, position: position, cache: sequence, wantsLogits: true)
                if position == 0 { places.append(index ?? 0) }
            }
        }
        return places
    }
}

// Their tokens.
extension LlamaEngine {
    /// Tokenizes further inputs of a query, about so many bytes of text, which are counted down.
    private mutating func tokenize(
        _ query: Int, _ model: LlamaModel, _ bytes: inout Int
    ) throws(EngineFault) -> Texts {
        while let open = embeddings[query], open.inputs.count < open.request.count {
            guard bytes > 0 else { return .left }
            switch open.request.task {
            case .embed(let inputs, _):
                let index = open.inputs.count
                let field = "inputs[\(index)]"
                bytes -= 64 + inputs[index].textBytes
                guard let tokens = try tokens(of: inputs[index], query, field, open.request.truncates) else {
                    return .awaited
                }
                guard !tokens.isEmpty else { throw EngineFault(.invalidArgument, "\(field) has no tokens") }
                note(query, model.fitted(tokens, contextTokens, endsText: inputs[index].isText))
            case .rerank(let text, let documents):
                guard let asked = open.query else {
                    bytes -= text.utf8.count
                    let text = (model.ranking[0].endsInBlank ? " " : "") + text
                    guard let tokens = try tokens(of: .text(text), query, "query", false, addsSpecial: false) else {
                        return .awaited
                    }
                    embeddings[query]?.query = tokens
                    continue
                }
                let index = open.inputs.count
                bytes -= 64 + documents[index].utf8.count
                let document = (model.ranking[1].endsInBlank ? " " : "") + documents[index]
                guard
                    let tokens = try tokens(
                        of: .text(document), query, "documents[\(index)]", open.request.truncates, addsSpecial: false)
                else { return .awaited }
                note(query, try pair(asked, tokens, "documents[\(index)]", open.request.truncates, model))
            }
        }
        return .known
    }

    private mutating func note(_ query: Int, _ input: (tokens: [Int32], leftOut: Int)) {
        embeddings[query]?.inputs.append(input.tokens)
        embeddings[query]?.leftOut.append(input.leftOut)
    }

    /// What a reranker reads of a query and a document.
    private func pair(
        _ query: [Int32], _ document: [Int32], _ field: String, _ truncates: Bool, _ model: LlamaModel
    ) throws(EngineFault) -> (tokens: [Int32], leftOut: Int) {
        let around = query.count + model.ranking.reduce(0) { $0 + $1.tokens.count }
        let room = contextTokens - around
        guard room > 0, document.count <= room || truncates else {
            throw EngineFault(
                .contextOverflow,
                """
                \(field) has \(document.count) tokens beside \(around) of the query and around it, and the context of \
                "\(modelID)" holds \(contextTokens); shorten them\(room > 0 ? ", or set truncate" : "")
                """)
        }
        let kept = document.prefix(room)
        return (
            model.ranking[0].tokens + query + model.ranking[1].tokens + kept + model.ranking[2].tokens,
            document.count - kept.count
        )
    }

    /// The tokens of an input; nil while a long one is being tokenized. Throws for one that does not fit, unless it is to be
    /// cut.
    private mutating func tokens(
        of input: GenerateRequest.Prompt, _ query: Int, _ field: String, _ truncates: Bool, addsSpecial: Bool = true
    ) throws(EngineFault) -> [Int32]? {
        // A vocabulary makes no more tokens of a text than it has bytes, and a template adds some.
        let most = truncates ? Limits.templateTokensMax + input.textBytes : contextTokens
        let form = TextForm(tokensMax: most, addsSpecial: addsSpecial)
        do throws(EngineFault) {
            guard let tokens = try tokens(of: GenerateRequest(prompt: input), for: .embedding(query), form) else {
                return nil
            }
            return try whole(tokens, most: most)
        } catch {
            let remedy = error.code == .contextOverflow && !truncates ? ", or set truncate" : ""
            throw EngineFault(error.code, "\(field): \(error.message)\(remedy)")
        }
    }
}

extension LlamaModel {
    /// As many tokens as fit, and the number of the rest. A text keeps the token that the vocabulary ends it with.
    fileprivate func fitted(
        _ tokens: [Int32], _ contextTokens: Int, endsText: Bool
    ) -> (tokens: [Int32], leftOut: Int) {
        let leftOut = tokens.count - contextTokens
        guard leftOut > 0, let last = tokens.last else { return (tokens, 0) }
        let keepsEnd = endsText && last == facts.end_token && contextTokens > 1
        return (keepsEnd ? tokens.prefix(contextTokens - 1) + [last] : Array(tokens.prefix(contextTokens)), leftOut)
    }

    /// The numbers for an input that was computed as a sequence of the batch: those of its `count` tokens from `place` on.
    fileprivate func numbers(
        _ task: EmbeddingRequest.Task, of count: Int, at place: Int32, _ sequence: Int
    ) -> [Float]? {
        guard case .embed(_, let pooling) = task else { return score(ofSequence: sequence).map { [$0] } }
        let kind =
            switch pooling {
            case .ofModel: facts.pooling
            case .mean: HEARTH_LLAMA_MEAN
            case .first: HEARTH_LLAMA_FIRST
            case .last: HEARTH_LLAMA_LAST
            }
        return vector(of: count, at: place, kind)
    }
}

extension GenerateRequest.Prompt {
    fileprivate var isText: Bool { if case .text = self { true } else { false } }

    /// The bytes of its texts, or the number of its ids.
    fileprivate var textBytes: Int {
        if case .tokenIDs(let ids) = self { return ids.count }
        return GenerateRequest(prompt: self).texts.reduce(0) { $0 + $1.utf8.count }
    }
}
