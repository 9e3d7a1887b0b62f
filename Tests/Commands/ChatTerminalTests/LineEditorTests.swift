import Testing

@testable import ChatTerminal

struct LineEditorTests {
    /// What is written, with the cursor as `|`.
    private func edited(_ keys: [EditorKey], history: [String] = []) -> String {
        var editor = LineEditor(history: history)
        for key in keys { #expect(editor.take(key) == .editing) }
        return editor.left + "|" + editor.right
    }

    @Test(
        "keys move and change what they say",
        arguments: [
            ([EditorKey.text("ac"), .left, .text("b")], "ab|c"), ([.text("ab"), .home, .text("x")], "x|ab"),
            ([.text("ab"), .home, .right, .right, .right, .end, .left, .left, .left], "|ab"),
            ([.text("abc"), .left, .backspace], "a|c"), ([.text("abc"), .home, .delete, .deleteOrEnd], "|c"),
            ([.text("abc"), .backspace, .backspace, .backspace, .backspace], "|"), ([.text("a"), .delete], "a|"),
            ([.text("one two"), .wordLeft, .text("x")], "one x|two"),
            ([.text("one two"), .wordLeft, .wordLeft], "|one two"),
            ([.text("one-two"), .home, .wordRight], "one|-two"),
            ([.text("a b"), .home, .wordRight, .wordRight], "a b|"),
            ([.text("one two  "), .killWordLeft], "one |"), ([.text("one/two"), .killWordLeft], "|"),
            ([.text("one two"), .home, .killWordRight, .end, .yank], " twoone|"),
            ([.text("abcd"), .left, .left, .killToEnd, .home, .yank], "cd|ab"),
            ([.text("abcd"), .left, .left, .killToHome, .end, .yank], "cdab|"),
            ([.text("a"), .lineBreak, .text("bc"), .home, .text("x")], "a\nx|bc"),
            ([.text("a"), .lineBreak, .text("b"), .killToHome], "a\n|"),
            ([.text("e"), .text("\u{301}"), .backspace], "|"), ([.text("日本"), .left, .backspace], "|本"),
            ([.text("x👩‍👧y"), .left, .backspace], "x|y"), ([.giveUp, .text("a")], "a|"),
        ])
    func editing(keys: [EditorKey], expected: String) {
        #expect(edited(keys) == expected)
    }

    @Test func `a paste keeps its lines and loses its controls`() {
        #expect(edited([.paste("a\r\nb\rc\nd\u{1B}[2J\u{3}\te\u{9B}")]) == "a\nb\nc\nd[2J\te|")
    }

    @Test func `a line is submitted whole, wherever the cursor is`() {
        var editor = LineEditor()
        for key in [EditorKey.text("ab"), .left] { _ = editor.take(key) }
        #expect(editor.take(.enter) == .submitted("ab"))
    }

    @Test func `Ctrl-C gives up, and Ctrl-D ends only where nothing is written`() {
        var editor = LineEditor()
        #expect(editor.take(.interrupt) == .interrupted(wasEmpty: true))
        #expect(editor.take(.deleteOrEnd) == .ended)
        _ = editor.take(.text("a"))
        #expect(editor.take(.interrupt) == .interrupted(wasEmpty: false))
        #expect(editor.take(.deleteOrEnd) == .editing)
        #expect(editor.take(.suspend) == .suspended)
        #expect(editor.take(.quit) == .quit)
        #expect(editor.take(.clearScreen) == .screenCleared)
        #expect(editor.text == "a")
    }

    @Test(
        "the history goes back and forth, and what was written stays",
        arguments: [
            ([EditorKey.older], "two|"), ([.older, .older], "one|"), ([.older, .older, .older], "one|"),
            ([.text("draft"), .older, .newer], "draft|"), ([.text("draft"), .newer], "draft|"),
            ([.older, .text("!"), .older, .newer], "two!|"), ([.older, .newer, .newer], "|"),
        ])
    func history(keys: [EditorKey], expected: String) {
        #expect(edited(keys, history: ["one", "two"]) == expected)
    }

    @Test(
        "a search finds older and older entries",
        arguments: [
            ([EditorKey.search, .text("a")], "gamma|"), ([.search, .text("a"), .search], "beta|"),
            ([.search, .text("a"), .search, .search, .search], "alpha|"), ([.search, .text("al")], "alpha|"),
            ([.search, .text("zzz")], "|"), ([.text("x"), .search, .text("al"), .giveUp], "x|"),
            ([.text("x"), .search, .text("al"), .interrupt], "x|"), ([.search, .text("al"), .left], "alph|a"),
            ([.search, .text("alx"), .backspace], "alpha|"), ([.search, .text("be"), .end, .newer], "gamma|"),
            ([.search, .text("be"), .end, .older], "alpha|"), ([.search, .search, .end], "|"),
        ])
    func search(keys: [EditorKey], expected: String) {
        #expect(edited(keys, history: ["alpha", "beta", "gamma"]) == expected)
    }

    @Test func `what a search found is submitted by Enter`() {
        var editor = LineEditor(history: ["alpha"])
        _ = editor.take(.search)
        #expect(editor.searchPrompt == "(search) ")
        _ = editor.take(.text("l"))
        #expect(editor.searchPrompt == "(search 'l') ")
        #expect(editor.take(.enter) == .submitted("alpha"))
        #expect(editor.searchPrompt == nil)
    }

    @Test func `a search in an empty history is no trap`() {
        #expect(edited([.search, .text("a"), .search, .backspace, .backspace, .end]) == "|")
    }

    @Test func `a text has a bound`() {
        var editor = LineEditor()
        let half = String(repeating: "a", count: LineEditor.textBytesMax / 2)
        for _ in 0..<3 { _ = editor.take(.paste(half)) }
        #expect(editor.text.utf8.count == LineEditor.textBytesMax)
    }
}
