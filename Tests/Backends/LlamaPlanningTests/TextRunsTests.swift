import LlamaPlanning
import Testing

@Suite("TextRuns")
struct TextRunsTests {
    private func long(_ unit: String, _ count: Int) -> TextRuns { TextRuns([String(repeating: unit, count: count)]) }

    @Test("a run is what no blank interrupts, and blanks are runs of their own")
    func runs() {
        let runs = TextRuns(["one seven", "   \n\u{3000}\u{a0}x", ""])
        #expect(runs.unbroken == 5)
        #expect(runs.blank == 6)
        for unit in ["a", "1", "!", "中", "🔥", "e\u{301}", "\u{1}", "Ä"] {
            #expect(long(unit, 50).unbroken == 50 * unit.unicodeScalars.count, "\(unit)")
        }
        for unit in [" ", "\n", "\r\n", "\t", "\u{2028}"] {
            #expect(long(unit, 50).blank == 50 * unit.unicodeScalars.count)
        }
        #expect(TextRuns([String](repeating: "abc", count: 9)).unbroken == 3, "texts are apart")
    }

    @Test("joined words go on over single blanks, and end at two, at digits and at punctuation")
    func joined() {
        #expect(long("a ", 50).joined == 100)
        #expect(long("ä b", 50).joined == 150)
        #expect(long("ab. ", 50).joined == 3)
        #expect(long("ab  ", 50).joined == 3)
        #expect(long("ab\n", 50).joined == 2)
        #expect(long("a1", 50).joined == 1)
        #expect(long("a ", 50).unbroken == 1)
    }

    @Test("each pre-tokenizer is held to the runs that it follows")
    func preTokenizers() {
        let words = long("a ", 1_000)
        #expect(PreTokenizer(name: "gpt-4o").longestRun(words) == 1)
        #expect(PreTokenizer(name: "exaone-moe").longestRun(words) == 2_000)
        #expect(PreTokenizer(name: nil).longestRun(long("a", 1_000)) == 0)
        #expect(PreTokenizer(name: "tekken").longestRun(long("\n", 1_000)) == 1_000)
        #expect(PreTokenizer(name: "superbpe").runCharactersMax < PreTokenizer(name: "gpt-4o").runCharactersMax)
    }

    @Test("the deepest stack is 49 MiB")
    func stack() {
        let deepest = PreTokenizer(name: "gpt-4o").stackBytes(longestRun: PreTokenizer.runCharactersMax)
        #expect(deepest == 49 << 20)
    }
}
