/// A prompt as the backend `echo` sees it: its words, and a digest that the tokens depend on.
package struct EchoPrompt: Equatable, Sendable {
    /// FNV-1a, 64 bits, of the prompt's bytes.
    package private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Its words, between ASCII white space; for a prompt of token ids, one empty word for each id.
    package private(set) var words: [[UInt8]] = []

    private init() {}

    /// A prompt of text.
    package init(text: String) {
        append(content: text)
    }

    /// A conversation: for each message the number of its role as one byte, its content, and a byte 0.
    package init(messages: [(role: UInt8, content: String)]) {
        for message in messages {
            mix(message.role)
            append(content: message.content)
            mix(0)
        }
    }

    /// Token ids, each as four bytes, the lowest first.
    package init(tokenIDs: [UInt32]) {
        for id in tokenIDs {
            for shift in [0, 8, 16, 24] as [UInt32] { mix(UInt8(truncatingIfNeeded: id >> shift)) }
        }
        words = Array(repeating: [], count: tokenIDs.count)
    }

    /// The same words with another digest: these bytes, which the adapters of a request give, come after the prompt's.
    package func varied(by bytes: [UInt8]) -> EchoPrompt {
        var prompt = self
        for byte in bytes { prompt.mix(byte) }
        return prompt
    }

    /// How many words a text has, without keeping them: a text of megabytes must not stop the sequences for long.
    package static func wordCount(of text: String) -> Int {
        var count = 0
        var isInWord = false
        for byte in text.utf8 {
            let isSpace = isSpace(byte)
            if !isSpace, !isInWord { count += 1 }
            isInWord = !isSpace
        }
        return count
    }

    /// Calls `body` for each token of a text, until it returns false: a word with the white space before it, the last one
    /// also with that behind it.
    package static func visitTokens(
        of text: UnsafeRawBufferPointer, _ body: (_ id: UInt32, _ text: Range<Int>) -> Bool
    ) {
        var word = EchoPrompt()
        var last: (id: UInt32, text: Range<Int>)?
        for index in text.indices where !isSpace(text[index]) {
            word.mix(text[index])
            guard index + 1 == text.count || isSpace(text[index + 1]) else { continue }
            if let last, !body(last.id, last.text) { return }
            // As many bits as the ids of completions have.
            last = (UInt32(truncatingIfNeeded: word.digest >> 51), (last?.text.upperBound ?? 0)..<index + 1)
            word = EchoPrompt()
        }
        if let last { _ = body(last.id, last.text.lowerBound..<text.count) }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

    private mutating func mix(_ byte: UInt8) { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }

    private mutating func append(content: String) {
        var word: [UInt8] = []
        for byte in content.utf8 {
            mix(byte)
            if Self.isSpace(byte) {
                if !word.isEmpty { words.append(word) }
                word.removeAll()
            } else {
                word.append(byte)
            }
        }
        if !word.isEmpty { words.append(word) }
    }
}
