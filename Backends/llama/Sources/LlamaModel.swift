import BackendKit
import CLlama

/// A model with its context in llama.cpp; owns the C object, which dies with it. Used by one thread.
final class LlamaModel {
    /// What llama.cpp made of a batch.
    enum Decoded: Equatable {
        case done
        /// The caches have no room for the batch; nothing of it was kept.
        case noRoom
        case failed(code: Int32)
    }

    private let llama: OpaquePointer
    let facts: hearth_llama_facts
    let defaultSampling: hearth_llama_sampling

    /// Loads the weights behind a descriptor, which it takes over and closes.
    init(descriptor: Int32, progress: (Float) -> Void) throws(EngineFault) {
        var reason = [CChar](repeating: 0, count: Limits.reasonBytesMax)
        let loaded = withoutActuallyEscaping(progress) { progress in
            var progress = progress
            return withUnsafeMutablePointer(to: &progress) { context in
                // The context outlives the call, and the callback runs only during it.
                hearth_llama_load(
                    descriptor,
                    { fraction, context in
                        context?.assumingMemoryBound(to: ((Float) -> Void).self).pointee(fraction)
                    },
                    context, &reason, reason.count)
            }
        }
        guard let loaded else {
            let bytes = reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw EngineFault(
                .badModel,
                """
                the weights cannot be loaded (\(String(decoding: bytes, as: UTF8.self))); \
                they must be one whole GGUF file of a model that llama.cpp knows
                """)
        }
        llama = loaded
        facts = hearth_llama_get_facts(loaded)
        defaultSampling = hearth_llama_default_sampling(loaded)
    }

    deinit { hearth_llama_free(llama) }

    /// Makes the caches; false when there is no memory for them.
    func prepare(_ settings: hearth_llama_context_settings) -> Bool { hearth_llama_prepare(llama, settings) }

    func endsTurn(_ token: Int32) -> Bool { hearth_llama_ends_turn(llama, token) }

    /// The text of a token, valid during `body`.
    func withPiece(of token: Int32, _ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Limits.pieceBytesMax) { buffer in
            let count = hearth_llama_piece(llama, token, buffer.baseAddress, Int32(buffer.count))
            body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer).prefix(Int(count))))
        }
    }

    /// Empties the batch that the next `decode` computes.
    func clearBatch() { hearth_llama_batch_clear(llama) }

    /// Adds a token at a position of a cache; its index in the batch, or nil when the batch is full.
    func add(_ token: Int32, position: Int, cache: Int, wantsLogits: Bool) -> Int32? {
        let index = hearth_llama_batch_add(llama, token, Int32(position), Int32(cache), wantsLogits)
        return index < 0 ? nil : index
    }

    func decode() -> Decoded {
        switch hearth_llama_decode(llama) {
        case 0: .done
        case Int32(HEARTH_LLAMA_NO_ROOM): .noRoom
        case let code: .failed(code: code)
        }
    }

    /// Forgets what a cache holds from a position on; false when it had to forget all of it.
    func forget(cache: Int, from position: Int) -> Bool { hearth_llama_forget(llama, Int32(cache), Int32(position)) }

    /// What chooses the tokens of one sequence.
    func sampler(_ sampling: hearth_llama_sampling) -> TokenSampler? {
        hearth_llama_sampler_new(llama, sampling).map(TokenSampler.init)
    }

    /// The token after the one at `index` of the batch; nil when none can be chosen.
    func sample(_ sampler: TokenSampler, at index: Int32) -> Int32? {
        let token = hearth_llama_sample(llama, sampler.pointer, index)
        return token < 0 ? nil : token
    }
}

/// Owns the state that chooses one sequence's tokens.
final class TokenSampler {
    fileprivate let pointer: OpaquePointer

    fileprivate init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { hearth_llama_sampler_free(pointer) }

    /// Lets penalties know a token of the prompt.
    func accept(_ token: Int32) { hearth_llama_sampler_accept(pointer, token) }
}

// Prompts.
extension LlamaModel {
    /// What became of a prompt: its tokens, or only their number when there are more than were wanted.
    enum Tokens {
        case all([Int32])
        case tooMany(Int)
    }

    /// The tokens of plain text.
    func tokenize(_ text: String, atMost limit: Int) throws(EngineFault) -> Tokens {
        var text = text
        return try collect(atMost: limit) { tokens, capacity in
            text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    hearth_llama_tokenize(llama, $0.baseAddress, $0.count, tokens, capacity)
                }
            }
        }
    }

    /// The tokens of a conversation in the model's own template, ready for the model's answer.
    func tokenize(_ messages: [GenerateRequest.Message], atMost limit: Int) throws(EngineFault) -> Tokens {
        let contents = messages.flatMap { $0.content.utf8 }
        return try collect(atMost: limit) { tokens, capacity in
            contents.withUnsafeBytes { bytes in
                var offset = 0
                let views = messages.map { message in
                    let count = message.content.utf8.count
                    defer { offset += count }
                    return hearth_llama_message(
                        role: message.role.templateName.cString,
                        // Every offset lies within the contents, or at their end for an empty message.
                        content: bytes.baseAddress.map { ($0 + offset).assumingMemoryBound(to: CChar.self) },
                        content_bytes: count)
                }
                return hearth_llama_tokenize_chat(llama, views, views.count, tokens, capacity)
            }
        }
    }

    private func collect(
        atMost limit: Int, _ body: (UnsafeMutablePointer<Int32>?, Int32) -> Int32
    ) throws(EngineFault) -> Tokens {
        var count: Int32 = 0
        let tokens = [Int32](unsafeUninitializedCapacity: limit) { buffer, used in
            count = body(buffer.baseAddress, Int32(clamping: buffer.count))
            used = min(buffer.count, Int(max(0, count)))
        }
        if count == HEARTH_LLAMA_FAILED {
            throw EngineFault(.internal, "the prompt could not be turned into tokens; the backend's log says why")
        }
        return count < 0 ? .tooMany(-Int(count)) : .all(tokens)
    }
}

extension GenerateRequest.Role {
    /// What chat templates call the role.
    fileprivate var templateName: StaticString {
        switch self {
        case .system: "system"
        case .assistant: "assistant"
        case .user, .unspecified: "user"
        }
    }
}

extension StaticString {
    /// NUL-terminated, for the life of the process.
    fileprivate var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
