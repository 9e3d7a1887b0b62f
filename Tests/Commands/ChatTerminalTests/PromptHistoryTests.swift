import Testing

@testable import ChatTerminal

struct PromptHistoryTests {
    @Test func `a file of it has one entry a line and says the same again`() {
        var history = PromptHistory()
        for entry in ["one", "two\nlines", #"back\slash\n"#, "日本 \u{1F600}", "\\", "a\r\nb"] { history.add(entry) }
        #expect(history.file.split(separator: "\n", omittingEmptySubsequences: false).count == 7)
        #expect(PromptHistory(file: history.file) == history)
    }

    @Test func `what was asked just before, or is nothing, is not added`() {
        var history = PromptHistory()
        for entry in ["a", "a", "", "b", "a"] { history.add(entry) }
        #expect(history.entries == ["a", "b", "a"])
    }

    @Test func `it has bounds, and the oldest goes`() {
        var history = PromptHistory()
        for number in 0..<1500 { history.add("\(number)") }
        #expect(history.entries.count == 1000 && history.entries.last == "1499")
        history.add(String(repeating: "x", count: 100_000))
        #expect(history.entries.last == "1499")
        for number in 0..<100 { history.add("\(number)" + String(repeating: "y", count: 60_000)) }
        #expect(history.file.utf8.count <= 1 << 20)
        #expect(PromptHistory(file: history.file).entries.last == history.entries.last)
    }

    @Test(arguments: ["\\", "\\q", "\n\n", "\u{0}\u{1B}", "a\\"])
    func `no file is an error`(text: String) {
        _ = PromptHistory(file: text)
    }
}
