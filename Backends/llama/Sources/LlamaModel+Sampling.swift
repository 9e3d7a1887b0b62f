import BackendKit
import CLlama
import Glibc
import LlamaPlanning

/// The choice of tokens.
extension LlamaModel {
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
