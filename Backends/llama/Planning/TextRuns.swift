/// The longest runs in a text of characters without a blank, and of blanks only.
///
/// Where llama.cpp splits text with std::regex, matching goes one call deeper with each character of a match: 321 bytes
/// of stack, measured for all its pre-tokenizers with letters, digits, blanks, symbols, marks and ideographs. No match
/// goes beyond a run of either kind and the one after it, except in `exaone-moe`, whose words include single blanks.
package struct TextRuns: Equatable, Sendable {
    /// The most characters in a row without a blank.
    package private(set) var unbroken = 0
    /// The most blanks in a row.
    package private(set) var blank = 0
    /// The most characters in a row of which each is a letter, a mark, or one blank between such: characters beyond ASCII
    /// all count.
    package private(set) var joined = 0

    package init(_ texts: some Sequence<String>) {
        for text in texts { measure(text) }
    }

    private mutating func measure(_ text: String) {
        var unbroken = 0
        var blank = 0
        var joined = 0
        for scalar in text.unicodeScalars {
            let isBlank = Self.isBlank(scalar)
            // ASCII that is no letter ends joined words, and so does a second blank.
            if isBlank ? scalar != " " || blank > 0 : scalar.value < 0x80 && !Self.isLetter(scalar) {
                joined = 0
            } else {
                joined += 1
            }
            unbroken = isBlank ? 0 : unbroken + 1
            blank = isBlank ? blank + 1 : 0
            self.unbroken = max(self.unbroken, unbroken)
            self.blank = max(self.blank, blank)
            self.joined = max(self.joined, joined)
        }
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z": true
        default: false
        }
    }

    /// Whether a scalar has Unicode's property White_Space.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000: true
        default: false
        }
    }
}

/// A vocabulary's pre-tokenizer: the runs that it accepts, and the stack that it needs for them.
package struct PreTokenizer: Equatable, Sendable {
    /// Longer runs are refused: their matching would take 64 MiB of stack.
    package static let runCharactersMax = 65_536
    /// `superbpe` looks from each digit to the end of its run: the time grows with the square.
    package static let quadraticRunCharactersMax = 4_096
    /// Stack for one character of a match: the measured size and a fifth more.
    package static let stackBytesPerCharacter = 384
    /// Stack for all other calls of tokenizing, a chat template's half a mebibyte included.
    package static let stackBytesBase = 1 << 20

    /// `tokenizer.ggml.pre`; nil for a vocabulary that is not split before it is merged.
    package let name: String?

    package init(name: String?) { self.name = name }

    /// The most characters that a run may have.
    package var runCharactersMax: Int {
        name == "superbpe" ? Self.quadraticRunCharactersMax : Self.runCharactersMax
    }

    /// The longest run, by the kind that matters to this pre-tokenizer; 0 when no length matters.
    package func longestRun(_ runs: TextRuns) -> Int {
        guard let name else { return 0 }
        let longest = max(runs.unbroken, runs.blank)
        return name == "exaone-moe" ? max(longest, runs.joined) : longest
    }

    /// The stack that text with such runs may need.
    package func stackBytes(longestRun: Int) -> Int {
        Self.stackBytesBase + 2 * longestRun * Self.stackBytesPerCharacter
    }
}
