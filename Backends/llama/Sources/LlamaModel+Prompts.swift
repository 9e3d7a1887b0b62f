import BackendKit
import CLlama
import LlamaPlanning

/// Prompts.
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
