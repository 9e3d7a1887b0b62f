import SeededRandom
import TerminalText
import Testing

@testable import ChatTerminal

struct EditorScreenTests {
    private static let plain = TerminalStyle(isTerminal: false, environment: [:])
    private static let coloured = TerminalStyle(isTerminal: true, environment: ["TERM": "xterm"])

    /// A terminal, an editor and what draws it there.
    private struct Session {
        var terminal: ScreenDouble
        var screen: EditorScreen
        var editor: LineEditor
        var size: EditorScreen.Size

        init(columns: Int, rows: Int = 10, history: [String] = [], style: TerminalStyle = EditorScreenTests.plain) {
            terminal = ScreenDouble(columns: columns, rows: rows)
            screen = EditorScreen(style: style)
            editor = LineEditor(history: history)
            size = EditorScreen.Size(columns: columns, rows: rows)
            draw()
        }

        mutating func draw() {
            terminal.write(
                screen.draw(prompt: editor.searchPrompt ?? "> ", left: editor.left, right: editor.right, size: size))
        }

        mutating func type(_ keys: EditorKey...) {
            for key in keys {
                _ = editor.take(key)
                draw()
            }
        }
    }

    @Test func `a line is shown as it is written, with the cursor where it is`() {
        var session = Session(columns: 20)
        session.type(.text("hello"), .left, .left, .text("X"))
        #expect(session.terminal.shown == ["> helXlo"])
        #expect(session.terminal.column == 6)
        session.type(.killToHome)
        #expect(session.terminal.shown == ["> lo"])
    }

    @Test func `what is added at the end is written alone`() {
        var screen = EditorScreen(style: Self.plain)
        let size = EditorScreen.Size(columns: 20, rows: 5)
        #expect(screen.draw(prompt: "> ", left: "", right: "", size: size) == "\r> \u{1B}[J")
        #expect(screen.draw(prompt: "> ", left: "a", right: "", size: size) == "a")
        #expect(screen.draw(prompt: "> ", left: "a", right: "", size: size) == "")
        #expect(screen.draw(prompt: "> ", left: "ab日", right: "", size: size) == "b日")
    }

    @Test func `a long line goes on in the next row, and comes back`() {
        var session = Session(columns: 10)
        session.type(.text("abcdefgh"))
        #expect(session.terminal.shown == ["> abcdefgh"])
        #expect(session.terminal.row == 1 && session.terminal.column == 0)
        session.type(.text("ij"))
        #expect(session.terminal.shown == ["> abcdefgh", "ij"])
        session.type(.home, .text("X"))
        #expect(session.terminal.shown == ["> Xabcdefg", "hij"])
        #expect(session.terminal.row == 0 && session.terminal.column == 3)
        session.type(.killToEnd)
        #expect(session.terminal.shown == ["> X"])
    }

    @Test func `a wide letter is not cut at the edge`() {
        var session = Session(columns: 5)
        session.type(.text("a日本"))
        #expect(session.terminal.shown == ["> a日", "本"])
        session.type(.home)
        session.type(.text("b"))
        #expect(session.terminal.shown == ["> ba", "日本"])
    }

    @Test func `a text of several lines is shown so`() {
        var session = Session(columns: 10)
        session.type(.paste("one\ntwo\n\nabcdefghij\nend"))
        #expect(session.terminal.shown == ["> one", "two", "", "abcdefghij", "end"])
        session.type(.older, .newer)
        session.terminal.write(session.screen.finish(size: session.size))
        #expect(session.terminal.row == 5 && session.terminal.column == 0)
    }

    @Test func `a line that just fills its row is left without an empty one`() {
        var session = Session(columns: 10)
        session.type(.text("abcdefgh"), .left, .left)
        session.terminal.write(session.screen.finish(size: session.size))
        #expect(session.terminal.row == 1 && session.terminal.column == 0)
        #expect(session.terminal.shown == ["> abcdefgh"])
    }

    @Test
    func `of a text with more rows than the screen the cursor's surroundings are shown, and all of it in the end`() {
        var session = Session(columns: 10, rows: 4)
        let lines = (1...9).map { "line \($0)" }
        session.type(.paste(lines.joined(separator: "\n")))
        #expect(session.terminal.shown == ["line 6", "line 7", "line 8", "line 9"])
        for _ in 0..<60 { session.type(.left) }
        #expect(session.terminal.shown.first == "> line 1")
        session.terminal.write(session.screen.finish(size: session.size))
        #expect(session.terminal.scrolled.suffix(6) == ["> line 1", "line 2", "line 3", "line 4", "line 5", "line 6"])
        #expect(session.terminal.shown == ["line 7", "line 8", "line 9"])
    }

    @Test func `a text that others pasted cannot steer the terminal`() {
        let text = TextLayout(prompt: "> ", left: "a\u{1B}[2J\u{202E}b", right: "", columns: 40).rows[0].text
        #expect(text == "> a\u{FFFD}[2J\u{FFFD}b")
    }

    @Test func `a search stands in the prompt's place`() {
        var session = Session(columns: 40, history: ["alpha"])
        session.type(.search, .text("al"))
        #expect(session.terminal.shown == ["(search 'al') alpha"])
        session.type(.end)
        #expect(session.terminal.shown == ["> alpha"])
    }

    @Test func `a cleared screen has the text in its first row`() {
        var session = Session(columns: 20)
        session.type(.text("a"), .lineBreak, .text("b"))
        session.terminal.write(session.screen.clear(size: session.size))
        #expect(session.terminal.shown == ["> a", "b"])
        #expect(session.terminal.row == 1 && session.terminal.column == 1)
    }

    @Test func `another width draws the text anew`() {
        var session = Session(columns: 10)
        session.type(.text("abcdefghijkl"))
        // A terminal that breaks its rows anew, as most do.
        var wider = ScreenDouble(columns: 20, rows: 10)
        wider.write("> abcdefghijkl")
        session.terminal = wider
        session.size = EditorScreen.Size(columns: 20, rows: 10)
        session.draw()
        session.type(.text("m"))
        #expect(session.terminal.shown == ["> abcdefghijklm"])
    }

    @Test func `whatever is typed, the terminal shows what the layout says`() {
        let keys: [EditorKey] = [
            .text("a"), .text("日"), .text("e\u{301}"), .text("👩‍👧"), .text("hello world "), .lineBreak, .left, .right,
            .home,
            .end, .wordLeft, .wordRight, .backspace, .delete, .killWordLeft, .killToEnd, .yank, .older, .newer,
            .text("\t"),
            .search, .giveUp,
        ]
        var random = SeededRandom(seed: 7)
        for columns in [3, 7, 20] {
            for style in [Self.plain, Self.coloured] {
                var session = Session(columns: columns, rows: 60, history: ["old\nlines", "日本語"], style: style)
                for _ in 0..<300 {
                    session.type(keys[Int.random(in: 0..<keys.count, using: &random)])
                    let layout = TextLayout(
                        prompt: session.editor.searchPrompt ?? "> ", left: session.editor.left,
                        right: session.editor.right, columns: columns)
                    guard layout.rows.count < 60 else {
                        _ = session.editor.take(.interrupt)
                        session = Session(columns: columns, rows: 60, history: ["old\nlines", "日本語"], style: style)
                        continue
                    }
                    var expected = layout.rows.map(\.text)
                    while expected.last?.isEmpty == true { expected.removeLast() }
                    #expect(session.terminal.shown == expected)
                    #expect(
                        session.terminal.row == layout.cursor.row && session.terminal.column == layout.cursor.column)
                }
            }
        }
    }
}
