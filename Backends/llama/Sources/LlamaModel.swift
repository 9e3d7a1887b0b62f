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

    /// The choice of the next token.
    enum Choice: Equatable {
        case token(Int32)
        /// The text is whole, and the format lets nothing follow.
        case formIsOver
        /// The logits contain a NaN or another unusable value.
        case notANumber
        /// No token goes on as the format wants it.
        case formIsStuck
        /// The format takes more work or memory than a token may cost.
        case formExceeds
        case failed
    }

    private let llama: OpaquePointer
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

    /// Makes the sampler of a request's sequence, which has seen the prompt; nil when there is no memory. Windows are at most
    /// the context.
    func sampler(_ request: GenerateRequest, prompt: [Int32], contextTokens: Int) -> TokenSampler? {
        var sampling = request.sampling.merged(into: defaultSampling)
        sampling.penalty_window = min(max(0, sampling.penalty_window), Int32(clamping: contextTokens))
        sampling.dry_window = min(max(0, sampling.dry_window), Int32(clamping: contextTokens))
        let biases = request.sampling.logitBias.map {
            hearth_llama_bias(token: Int32(clamping: $0.token), bias: $0.bias)
        }
        let ends = request.stopping.stopTokenIDs
        let texts = sampling.dry_multiplier > 0 ? request.sampling.drySequenceBreakers ?? Self.usualBreakers : []
        let breakers = texts.compactMap { strdup($0) }
        defer { for text in breakers { free(text) } }
        let made = breakers.map { Optional(UnsafePointer<CChar>($0)) }.withUnsafeBufferPointer { breakers in
            biases.withUnsafeBufferPointer { biases in
                ends.withUnsafeBufferPointer { ends in
                    hearth_llama_sampler_new(
                        llama, sampling,
                        hearth_llama_choices(
                            biases: biases.baseAddress, bias_count: biases.count, breakers: breakers.baseAddress,
                            breaker_count: breakers.count, tokens_min: request.stopping.minTokens ?? 0,
                            ends: ends.baseAddress, end_count: ends.count))
                }
            }
        }
        guard let sampler = made.map(TokenSampler.init) else { return nil }
        // Penalties and DRY look back over the prompt too.
        let window = max(sampling.penalty_window, sampling.dry_multiplier > 0 ? sampling.dry_window : 0)
        for token in prompt.suffix(Int(window)) { sampler.accept(token) }
        return sampler
    }

    /// Of DRY, where a request has none.
    private static let usualBreakers = ["\n", ":", "\"", "*"]

    /// How likely the model held the token that was chosen after the one at `index` of the batch, and the likeliest.
    func logprobs(of token: Int32, at index: Int32, alternatives: Int) -> TokenLogprobs {
        func text(_ token: Int32) -> [UInt8] {
            var text: [UInt8] = []
            withPiece(of: token, in: nil) { text = Array($0) }
            return text
        }
        return withUnsafeTemporaryAllocation(of: hearth_llama_likely.self, capacity: alternatives + 1) { likely in
            let count = hearth_llama_logprobs(llama, index, token, likely.baseAddress, likely.count)
            return TokenLogprobs(
                text: text(token), logprob: count > 0 ? likely[0].logprob : 0,
                alternatives: likely[min(1, count)..<count].map {
                    TokenLogprobs.Likely(token: $0.token.magnitude, text: text($0.token), logprob: $0.logprob)
                })
        }
    }

    /// The likeliest token after the one at `index` of the batch, among those below `bound`, and how likely it is; nil where
    /// there is none.
    func likeliest(at index: Int32, below bound: Int32) -> (token: Int32, chance: Double)? {
        let guess = hearth_llama_likeliest(llama, index, bound)
        return guess.token < 0 ? nil : (guess.token, Double(guess.chance))
    }

    /// The token after the one at `index` of the batch.
    func sample(_ sampler: TokenSampler, at index: Int32) -> Choice {
        switch hearth_llama_sample(llama, sampler.pointer, index) {
        case Int32(HEARTH_LLAMA_NOT_A_NUMBER): .notANumber
        case Int32(HEARTH_LLAMA_GRAMMAR_OVER): .formIsOver
        case Int32(HEARTH_LLAMA_GRAMMAR_STUCK): .formIsStuck
        case Int32(HEARTH_LLAMA_GRAMMAR_EXCEEDS): .formExceeds
        case let token where token >= 0: .token(token)
        default: .failed
        }
    }

    /// Whether a sampler could take over a token.
    enum Taken: Equatable {
        case taken
        /// What its text is held to does not allow it.
        case unfit
        /// The format takes more work or memory than a token may cost.
        case exceeds
        case failed
    }

    /// Lets a sampler go on behind a token that another one, in the same place, has chosen.
    func take(_ token: Int32, by sampler: TokenSampler) -> Taken {
        switch hearth_llama_take(llama, sampler.pointer, token) {
        case 0: .taken
        case Int32(HEARTH_LLAMA_GRAMMAR_UNFIT): .unfit
        case Int32(HEARTH_LLAMA_GRAMMAR_EXCEEDS): .exceeds
        default: .failed
        }
    }

    /// Holds what a sampler chooses from here on to a grammar; `given` is the part of the text that stands before.
    func hold(_ sampler: TokenSampler, to grammar: String, given: String) throws(EngineFault) {
        var given = given
        let code = given.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { bytes in
                grammar.withCString { hearth_llama_hold(llama, sampler.pointer, $0, bytes.baseAddress, bytes.count) }
            }
        }
        switch code {
        case 0: return
        case Int32(HEARTH_LLAMA_GRAMMAR_UNFIT):
            throw EngineFault(
                .invalidArgument,
                "the last message, which is to be continued, does not begin as format wants it; leave it out, or change it"
            )
        case Int32(HEARTH_LLAMA_GRAMMAR_EXCEEDS): throw EngineFault(.invalidArgument, Self.exceeds)
        case Int32(HEARTH_LLAMA_GRAMMAR_REFUSED):
            throw EngineFault(
                .invalidArgument, "format.grammar is refused by llama.cpp: \(LoadFailure.plain(Self.firstError))")
        default: throw EngineFault(.overloaded, "there is no memory to hold another text to a form; try again later")
        }
    }

    /// Holds what a sampler chooses to the calls that its answer may hold; returns whether something holds them.
    func hold(_ sampler: TokenSampler, toCallsOf answer: AnswerParser) -> Bool {
        hearth_llama_hold_calls(sampler.pointer, answer.pointer)
    }

    static let exceeds =
        "format, or the schemas of tools, take more time or memory than a text may cost; make them simpler, or less ambiguous"
}

// The weights file and the library's errors.
extension LlamaModel {
    /// The first error that llama.cpp logged during its last operation; empty when it logged none.
    static var firstError: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Limits.errorBytesMax) { buffer in
            hearth_llama_first_error(buffer.baseAddress, buffer.count)
            return String(decoding: UnsafeRawBufferPointer(buffer).prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Opens the weights behind descriptors, which it takes over: one, or all parts in order. Checks the files before
    /// llama.cpp does, whose errors for most files that are no models are of no help.
    static func open(_ descriptors: [Int32]) throws(EngineFault) {
        var parts: [WeightsPart] = []
        for (index, descriptor) in descriptors.enumerated() {
            do throws(EngineFault) {
                let file = try open(descriptor, part: index)
                parts.append(
                    WeightsPart(
                        count: Int(file.parts), number: Int(file.part), tensors: Int(clamping: file.tensors),
                        allTensors: Int(clamping: file.all_tensors)))
            } catch {
                guard descriptors.count > 1 else { throw error }
                throw EngineFault(error.code, "part \(index + 1) of \(descriptors.count): \(error.message)")
            }
        }
        if let flaw = WeightsPart.flaw(of: parts) { throw EngineFault(.badModel, flaw) }
    }

    /// Opens the files of adapters behind their descriptors, which it takes over, and checks them as those of weights.
    static func open(_ adapters: [LoadRequest.Adapter]) throws(EngineFault) {
        for (index, adapter) in adapters.enumerated() {
            do throws(EngineFault) {
                let file = try open(
                    adapter.descriptor, hearth_llama_open_adapter, { hearth_llama_inspect_adapter(index) })
                guard file.is_adapter else {
                    throw EngineFault(.badModel, "the weights are no adapter (general.type in their header)")
                }
            } catch {
                let sentence = WeightsFile.sentence(error.message, about: "the file of the adapter \"\(adapter.name)\"")
                throw EngineFault(error.code, sentence)
            }
        }
    }

    /// Opens the file of the draft model behind its descriptor, which it takes over, and checks it as that of the model.
    static func open(draft descriptor: Int32) throws(EngineFault) {
        do throws(EngineFault) {
            let file = try open(descriptor, hearth_llama_open_draft, hearth_llama_inspect_draft)
            guard !file.is_adapter else { throw EngineFault(.badModel, "the weights are a LoRA adapter, not a model") }
            guard file.parts == 1 else {
                throw EngineFault(
                    .badModel,
                    "the weights are one of \(file.parts) parts of a model; join them, with: llama-gguf-split --merge")
            }
        } catch {
            throw EngineFault(error.code, WeightsFile.sentence(error.message, about: "the file of the draft model"))
        }
    }

    private static func open(_ descriptor: Int32, part: Int) throws(EngineFault) -> hearth_llama_file_facts {
        var file = try open(descriptor, hearth_llama_open, { hearth_llama_inspect(part) })
        guard !file.is_adapter else {
            let architecture = withUnsafeBytes(of: &file.architecture) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw EngineFault(.badModel, WeightsFile.adapterFlaw(architecture: architecture))
        }
        return file
    }

    private static func open(
        _ descriptor: Int32, _ opened: (Int32, UnsafeMutablePointer<UInt8>?, Int) -> Int,
        _ inspected: () -> hearth_llama_file_facts
    ) throws(EngineFault) -> hearth_llama_file_facts {
        var first = [UInt8](repeating: 0, count: WeightsFile.firstBytesCount)
        let count = opened(descriptor, &first, first.count)
        let error = firstError
        guard error.isEmpty else { throw EngineFault(.badModel, error) }
        let file = inspected()
        if let flaw = WeightsFile.flaw(first: Array(first.prefix(count)), fileBytes: file.bytes) {
            throw EngineFault(.badModel, flaw)
        }
        guard file.has_header, file.bytes >= file.wanted_bytes else { throw EngineFault(.badModel, failure(file)) }
        return file
    }

    /// Why the weights do not load; `file`: the one whose header was read last, and is to blame.
    private static func failure(_ file: hearth_llama_file_facts?) -> String {
        LoadFailure(
            firstError: firstError, wantedBytes: file.flatMap { $0.has_header ? $0.wanted_bytes : nil },
            fileBytes: file?.bytes ?? 0
        ).sentence
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

/// The sampler of one sequence; owns the C object.
final class TokenSampler {
    fileprivate let pointer: OpaquePointer

    fileprivate init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { hearth_llama_sampler_free(pointer) }

    /// Whether its text is held to a form, whole, and nothing can follow.
    var isOver: Bool { hearth_llama_is_over(pointer) }

    /// Lets penalties and DRY know a token of the prompt.
    func accept(_ token: Int32) { hearth_llama_sampler_accept(pointer, token) }
}

// Prompts.
extension LlamaModel {
    /// The tokens of a prompt, or only their number when there are more than were wanted.
    enum Tokens {
        /// With what tells its answer apart, where that was asked for and there is something to tell apart.
        case all([Int32], answer: AnswerParser? = nil)
        case tooMany(Int)
        /// The text, UTF-8 if the template is; only where it was asked for.
        case text([UInt8])
    }

    /// The tokens of plain text.
    func tokenize(_ text: String, addsSpecial: Bool, atMost limit: Int) throws(EngineFault) -> Tokens {
        var text = text
        return try collect(atMost: limit) { tokens, capacity in
            text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    hearth_llama_tokenize(llama, $0.baseAddress, $0.count, addsSpecial, tokens, capacity)
                }
            }
        }
    }

    /// The tokens of a conversation in the model's own template, ready for the model's answer. No run of text may be longer
    /// for its pre-tokenizer than `runCharactersMax`: the stack is as deep as that needs.
    func tokenize(
        _ chat: ChatPrompt, runCharactersMax: Int, atMost limit: Int
    ) throws(EngineFault) -> Tokens {
        var takes = { [preTokenizer] (run: UnsafeRawBufferPointer) in
            preTokenizer.longestRun(TextRuns([String(decoding: run, as: UTF8.self)])) <= runCharactersMax
        }
        return try collect(atMost: limit) { tokens, capacity in
            withUnsafeMutablePointer(to: &takes) { context in
                // The context outlives the call, and the callback runs only during it.
                hearth_llama_tokenize_chat(
                    llama, chat.pointer,
                    { text, bytes, context in
                        context?.assumingMemoryBound(to: ((UnsafeRawBufferPointer) -> Bool).self)
                            .pointee(UnsafeRawBufferPointer(start: text, count: bytes)) ?? false
                    }, context, tokens, capacity)
            }
        }
    }

    /// The text that a conversation becomes in the model's own template.
    func render(_ chat: ChatPrompt) throws(EngineFault) -> [UInt8] {
        let capacity = Limits.renderedBytesMax
        var count: Int32 = 0
        let text = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, used in
            count = buffer.withMemoryRebound(to: CChar.self) { buffer in
                hearth_llama_render_chat(llama, chat.pointer, buffer.baseAddress, Int32(clamping: capacity))
            }
            used = Int(max(0, count))
        }
        try check(count)
        guard count >= 0 else {
            throw EngineFault(
                .overloaded, "the text of the prompt would have \(-count) bytes; at most \(capacity) can be told")
        }
        return text
    }

    private func collect(
        atMost limit: Int, _ body: (UnsafeMutablePointer<Int32>?, Int32) -> Int32
    ) throws(EngineFault) -> Tokens {
        var count: Int32 = 0
        let tokens = [Int32](unsafeUninitializedCapacity: limit) { buffer, used in
            count = body(buffer.baseAddress, Int32(clamping: buffer.count))
            used = min(buffer.count, Int(max(0, count)))
        }
        try check(count)
        return count < 0 ? .tooMany(-Int(count)) : .all(tokens)
    }

    /// Throws for a code of the functions that tokenize.
    func check(_ count: Int32) throws(EngineFault) {
        switch count {
        case Int32(HEARTH_LLAMA_TEMPLATE_FAILED):
            throw EngineFault(.invalidArgument, "the chat template of this model \(Self.firstError)")
        case Int32(HEARTH_LLAMA_NOT_TAKEN):
            throw EngineFault(
                .invalidArgument,
                "the chat template of this model makes too many characters in a row without a blank; break them up"
            )
        case Int32(HEARTH_LLAMA_FAILED):
            let error = Self.firstError
            throw LoadFailure.speaksOfMemory(error)
                ? EngineFault(
                    .overloaded, "there is no memory to turn so long a text into tokens; try again, or send less")
                : EngineFault(
                    .invalidArgument, "the model's vocabulary cannot take this text: \(LoadFailure.plain(error))")
        default: break
        }
    }
}
