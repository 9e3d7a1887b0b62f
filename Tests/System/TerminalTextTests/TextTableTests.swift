import TerminalText
import Testing

struct TextTableTests {
    @Test func `columns stand below each other, however wide their letters are`() {
        let table = TextTable([["NAME", "STATE"], ["日本", "ready"], ["é\u{301}x", "a"], ["😀", "b"]]).text()
        #expect(table == "NAME  STATE\n日本  ready\né\u{301}x    a\n😀    b")
    }

    @Test func `a cell can forge neither a row nor a column`() {
        let table = TextTable([["A", "B"], ["x\nforged  row", "\u{1B}[1A"], ["a\tb", "c"]]).text()
        #expect(table.split(separator: "\n").count == 3)
        #expect(!table.contains("\u{1B}") && !table.contains("\t"))
    }

    @Test func `nothing stands behind a line's last word`() {
        #expect(TextTable([["A", "B"], ["x", ""]]).text() == "A  B\nx")
        #expect(TextTable([["A", "B", "C"], ["x", "", ""], ["y ", "z  "]]).lines == ["A   B    C", "x", "y   z"])
    }

    @Test func `a table that is too wide for the terminal shows one row below the other`() {
        let rows = [["NAME", "WHAT IT IS"], [String(repeating: "n", count: 30), "something"], ["m", ""]]
        #expect(TextTable(rows).text(columns: 80).split(separator: "\n").count == 3)
        let narrow = TextTable(rows).text(columns: 36)
        #expect(narrow == "NAME        \(String(repeating: "n", count: 30))\nWHAT IT IS  something\n\nNAME        m")
    }

    @Test(arguments: [
        ("abc", 3), ("日本語", 6), ("e\u{301}", 1), ("👩‍👩‍👧‍👦", 2), ("❤️", 2), ("ｱ", 1), ("한", 2), ("\u{200D}", 0), ("", 0),
    ])
    func `a text takes the columns that terminals give it`(text: String, width: Int) {
        #expect(text.displayWidth == width)
    }
}
