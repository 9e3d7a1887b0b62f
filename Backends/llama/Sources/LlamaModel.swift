import BackendKit
import CLlama
import Glibc
import LlamaPlanning

/// A model with its context in llama.cpp, or one that drafts for it; owns the C object and frees it. One thread uses it, but
/// for `tokenize`, which one other may call meanwhile: llama.cpp only reads the vocabulary there. That is why it is
/// `unchecked`.
final class LlamaModel: @unchecked Sendable {
    /// The result of computing a batch.
    enum Decoded: Equatable {
        case done
        /// The caches have no room for the batch; none of it was kept.
        case noRoom
        /// It was told to end; which part of the batch was computed is unknown.
        case cut
        case failed(code: Int32)
    }

    let llama: OpaquePointer
    let facts: hearth_llama_facts
    let defaultSampling: hearth_llama_sampling
    let preTokenizer: PreTokenizer
    /// Why the file's chat template cannot be used, to complete "the chat template ..."; empty when it can, or there is
    /// none.
    let templateFlaw: String
    /// Three parts of a reranker's.
    let ranking: [RankingPart]
    /// What errors call it.
    private let subject: String
    /// The most drafted tokens that a step computes.
    private let draftedTokens: Int

    /// Loads the weights and the adapters that were opened, with the template and the drafts that the request asks for.
    convenience init(
        _ loading: hearth_llama_loading, _ request: LoadRequest, progress: (Float) -> Void
    ) throws(EngineFault) {
        let chatTemplate = request.chatTemplate
        let loaded = withoutActuallyEscaping(progress) { progress in
            var progress = progress
            return withUnsafeMutablePointer(to: &progress) { context in
                func load(_ template: UnsafePointer<CChar>?) -> OpaquePointer? {
                    // The context outlives the call, and the callback runs only during it.
                    hearth_llama_load(
                        loading, template,
                        { fraction, context in
                            context?.assumingMemoryBound(to: ((Float) -> Void).self).pointee(fraction)
                        }, context)
                }
                return chatTemplate.map { $0.withCString(load) } ?? load(nil)
            }
        }
        guard let loaded else { throw EngineFault(.badModel, Self.failure(nil)) }
        let drafts = request.draftLookup || request.draftWeightsDescriptor != nil
        self.init(loaded, subject: "the model", draftedTokens: drafts ? DraftLength.tokensMax : 0)
        for adapter in request.adapters where !hearth_llama_load_adapter(loaded) {
            throw EngineFault(
                .badModel,
                "the adapter \"\(adapter.name)\" cannot be used with this model: \(LoadFailure.plain(Self.firstError)); bring "
                    + "the file that was made for it, or take it out of \"adapters\" in the model's settings")
        }
        if drafts, !facts.forgets_last {
            throw EngineFault(
                .badModel,
                "this model's state cannot give up refused drafts; leave \"draft\" out of the model's settings")
        }
    }

    /// Loads the draft model that was opened. Throws where it cannot draft for the other one.
    convenience init(_ loading: hearth_llama_loading, draftingFor model: LlamaModel) throws(EngineFault) {
        guard let loaded = hearth_llama_load_draft(loading) else {
            throw EngineFault(.badModel, WeightsFile.sentence(Self.failure(nil), about: "the draft model"))
        }
        self.init(loaded, subject: "the draft model", draftedTokens: 0)
        let flaw = Self.text { hearth_llama_vocabulary_flaw(model.llama, loaded, $0, $1) }
        guard flaw.isEmpty else {
            throw EngineFault(
                .badModel,
                """
                the draft model (\(name)) cannot draft for the model (\(model.name)): its vocabulary \(flaw); name a smaller \
                model of the same family as "file" in "draft" in the model's settings
                """)
        }
        guard facts.forgets_last else {
            throw EngineFault(
                .badModel,
                """
                the draft model (\(name)) cannot draft for the model (\(model.name)): its state cannot give up refused drafts; \
                name another as "file" in "draft" in the model's settings
                """)
        }
    }

    private init(_ loaded: OpaquePointer, subject: String, draftedTokens: Int) {
        llama = loaded
        self.subject = subject
        self.draftedTokens = draftedTokens
        facts = hearth_llama_get_facts(loaded)
        defaultSampling = hearth_llama_default_sampling(loaded)
        preTokenizer = PreTokenizer(
            name: facts.splits_text ? Self.metadata(loaded, "tokenizer.ggml.pre") ?? "default" : nil)
        templateFlaw = Self.text { hearth_llama_template_flaw(loaded, $0, $1) }
        ranking = (0..<3).map { part in
            var (tokens, endsInBlank) = (UnsafePointer<Int32>?.none, false)
            let count = hearth_llama_ranking_part(loaded, part, &tokens, &endsInBlank)
            return RankingPart(
                tokens: Array(UnsafeBufferPointer(start: tokens, count: count)), endsInBlank: endsInBlank)
        }
    }

    deinit { hearth_llama_free(llama) }

    /// The name that its authors gave it, in quotation marks.
    private var name: String {
        Self.metadata(llama, "general.name").map { "\"\($0.prefix(64))\"" } ?? "without a name"
    }

    /// Whether each sequence has a cache of its own where nothing else is asked for.
    var prefersSeparateCaches: Bool { facts.weights_bytes <= Limits.separateCachesWeightsBytesMax }

    /// Makes the context of a model that makes vectors or scores, for batches of so many tokens; returns false when there is no
    /// memory for it.
    func prepare(embeddingTokens: Int, threads: Int) -> Bool {
        guard let tokens = UInt32(exactly: embeddingTokens) else { return false }
        return hearth_llama_prepare(
            llama,
            hearth_llama_context_settings(
                cells: tokens, sequences: UInt32(Limits.embeddingInputsMax), batch_tokens: tokens, drafted_tokens: 0,
                threads: UInt32(clamping: max(1, threads)), separate_caches: false, cache_type: nil, embeds: true))
    }

    /// The memory of the context that was prepared, of a measured model.
    var contextNeeds: (contextBytes: UInt64, reorderedWeightsBytes: UInt64) {
        let needs = hearth_llama_get_needs(llama)
        return (needs.context_bytes, needs.reordered_weights_bytes)
    }

    /// Makes the caches, with so many cells in all; returns false when there is no memory for them.
    func prepare(
        cells: Int, isShared: Bool, sequences: Int, threads: Int, cacheType: ModelOptions.CacheType
    ) -> Bool {
        guard let cells = UInt32(exactly: cells) else { return false }
        return cacheType.rawValue.withCString { type in
            hearth_llama_prepare(
                llama,
                hearth_llama_context_settings(
                    cells: cells, sequences: UInt32(clamping: sequences), batch_tokens: UInt32(Limits.batchTokens),
                    drafted_tokens: UInt32(draftedTokens),
                    threads: UInt32(clamping: max(1, threads)), separate_caches: !isShared, cache_type: type,
                    embeds: false))
        }
    }

    /// The memory that a measured model would take: for contexts up to a length, and for the copies of weights in
    /// another order. Throws when llama.cpp makes no such context.
    func needs(
        contextTokens: Int, isShared: Bool, cacheType: ModelOptions.CacheType
    ) throws(EngineFault) -> (context: MemoryPlan.Cost, reorderedWeightsBytes: UInt64) {
        func measure(_ tokens: Int, sequences: Int) throws(EngineFault) -> hearth_llama_needs {
            guard
                prepare(
                    cells: tokens * sequences, isShared: isShared, sequences: sequences, threads: 1,
                    cacheType: cacheType)
            else {
                throw EngineFault(
                    .badModel, "llama.cpp makes no context for \(subject): \(LoadFailure.plain(Self.firstError))")
            }
            return hearth_llama_get_needs(llama)
        }
        let one = try measure(contextTokens, sequences: 1)
        let cost = MemoryPlan.Cost(
            contextTokens: contextTokens, one: one.context_bytes,
            two: try measure(contextTokens, sequences: 2).context_bytes,
            half: try measure(max(1, contextTokens / 2), sequences: 1).context_bytes)
        return (cost, one.reordered_weights_bytes)
    }

    /// The text of a token, also of a special one, valid during `body`.
    func withText(of token: Int32, _ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Limits.pieceBytesMax) { buffer in
            let count = hearth_llama_token_text(llama, token, buffer.baseAddress, Int32(buffer.count))
            body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer).prefix(Int(count))))
        }
    }

    func endsTurn(_ token: Int32) -> Bool { hearth_llama_ends_turn(llama, token) }

    /// The text of a token, valid during `body`.
    func withPiece(of token: Int32, in answer: OpaquePointer?, _ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Limits.pieceBytesMax) { buffer in
            let count = hearth_llama_piece(llama, answer, token, buffer.baseAddress, Int32(buffer.count))
            body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer).prefix(Int(count))))
        }
    }

    /// Empties the batch that the next `decode` computes.
    func clearBatch() { hearth_llama_batch_clear(llama) }

    /// Adds a token at a position of a cache; returns its index in the batch, or nil when the batch is full.
    func add(_ token: Int32, position: Int, cache: Int, wantsLogits: Bool) -> Int32? {
        let index = hearth_llama_batch_add(llama, token, Int32(position), Int32(cache), wantsLogits)
        return index < 0 ? nil : index
    }

    /// Has all that is computed from now on computed with these adapters; returns false when llama.cpp refuses.
    func apply(_ adapters: AdapterSet) -> Bool {
        let applied = adapters.members.map { hearth_llama_applied(adapter: $0.adapter, scale: $0.scale) }
        return hearth_llama_apply(llama, applied, applied.count)
    }

    /// Forgets all that was computed.
    func forgetAll() { hearth_llama_forget_all(llama) }

    /// The vector of so many tokens of the batch, from the one at `place` on; nil when there is none.
    func vector(of count: Int, at place: Int32, _ pooling: hearth_llama_pooling) -> [Float]? {
        var isThere = false
        let width = Int(facts.embedding_numbers)
        let vector = [Float](unsafeUninitializedCapacity: width) { buffer, used in
            isThere = hearth_llama_vector(llama, place, Int32(clamping: count), pooling, buffer.baseAddress)
            used = isThere ? width : 0
        }
        return isThere ? vector : nil
    }

    /// The score of a sequence of the batch; nil when there is none.
    func score(ofSequence sequence: Int) -> Float? {
        var score: Float = 0
        return hearth_llama_score(llama, Int32(clamping: sequence), &score) ? score : nil
    }

    /// What a reranker reads before the query, between it and the document, and behind.
    struct RankingPart {
        let tokens: [Int32]
        /// Whether the text that follows begins with a blank.
        let endsInBlank: Bool
    }

    /// Computes the batch; calls `goesOn` now and then, and ends early when it returns false.
    func decode(goesOn: () -> Bool) -> Decoded {
        let code = withoutActuallyEscaping(goesOn) { goesOn in
            var goesOn = goesOn
            return withUnsafeMutablePointer(to: &goesOn) { context in
                // The context outlives the call, and the callback runs only during it.
                hearth_llama_decode(
                    llama, { context in context?.assumingMemoryBound(to: (() -> Bool).self).pointee() ?? true }, context
                )
            }
        }
        return switch code {
        case 0: .done
        case Int32(HEARTH_LLAMA_NO_ROOM): .noRoom
        case Int32(HEARTH_LLAMA_CUT): .cut
        default: .failed(code: code)
        }
    }

    /// Forgets the tokens of a cache from a position on; returns false when it had to forget all of them.
    func forget(cache: Int, from position: Int) -> Bool { hearth_llama_forget(llama, Int32(cache), Int32(position)) }

    /// Replaces the contents of a cache by the first tokens of another; returns false when it is empty afterwards.
    func copy(cache: Int, to other: Int, tokens: Int) -> Bool {
        hearth_llama_copy(llama, Int32(cache), Int32(other), Int32(tokens))
    }

    /// Begins the answer to a conversation; nil where it is only text. Of one with tools this takes up to a tenth of a second,
    /// and longer the more tools there are.
    func newAnswer(_ chat: ChatPrompt) throws(EngineFault) -> AnswerParser? {
        var answer: OpaquePointer?
        try check(hearth_llama_answer_new(llama, chat.pointer, &answer))
        return answer.map { AnswerParser($0) }
    }

    /// Adds what the file says of itself.
    func describe(_ inspected: inout InspectedModel) {
        inspected.architecture = Self.metadata(llama, "general.architecture") ?? ""
        inspected.name = Self.metadata(llama, "general.name") ?? ""
        inspected.licence = Self.metadata(llama, "general.license") ?? ""
        inspected.parameters = facts.parameters
        inspected.trainedContextTokens = Int(facts.context_tokens)
        inspected.hasChatTemplate = facts.has_chat_template
        inspected.templateFlaw = templateFlaw
        inspected.quantisation = Self.text { hearth_llama_quantisation(llama, $0, $1) }
    }

    /// What a function of the library writes: at most `Limits.errorBytesMax` bytes, whose number it returns.
    private static func text(_ write: (UnsafeMutablePointer<CChar>?, Int) -> Int) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Limits.errorBytesMax) { buffer in
            let count = write(buffer.baseAddress, buffer.count)
            return String(decoding: UnsafeRawBufferPointer(buffer).prefix(count), as: UTF8.self)
        }
    }

    private static func metadata(_ llama: OpaquePointer, _ key: String) -> String? {
        let text = Self.text { hearth_llama_metadata(llama, key, $0, $1) }
        return text.isEmpty ? nil : text
    }
}
