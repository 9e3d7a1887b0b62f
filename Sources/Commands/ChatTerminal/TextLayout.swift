internal import TerminalText

/// The rows of a terminal that a prompt and a text fill, and the cursor's position.
struct TextLayout: Sendable {
    struct Row: Equatable, Sendable {
        var text = ""
        var width = 0
    }

    private(set) var rows: [Row]
    private(set) var cursor = (row: 0, column: 0)
    let columns: Int

    /// `prompt` has no escape sequences; `left` and `right` are the text before and after the cursor.
    init(prompt: String, left: String, right: String, columns: Int) {
        self.columns = max(columns, 2)
        rows = [Row()]
        for character in prompt { add(character) }
        // A mark after the cursor may belong to the letter before it.
        let before = left.count
        var count = 0
        for character in left + right {
            if count == before { mark() }
            count += 1
            add(character)
        }
        if count <= before { mark() }
    }

    /// Whether the row is full, so that the terminal goes on in the next row by itself.
    func isFull(_ row: Int) -> Bool { rows[row].width >= columns }

    /// The text of these rows, with the sequences that lead from one to the next and erase the old text.
    func text(_ shown: Range<Int>) -> String {
        var text = ""
        for row in shown {
            text += rows[row].text
            guard row + 1 < shown.upperBound else { break }
            // After a full row the cursor waits in it for the next letter.
            if !isFull(row) { text += "\u{1B}[K" }
            if !isFull(row) || rows[row + 1].text.isEmpty { text += "\r\n" }
        }
        return text
    }

    private mutating func mark() { cursor = (rows.count - 1, rows[rows.count - 1].width) }

    private mutating func add(_ character: Character) {
        if character == "\n" {
            // After a full row the next one is there already.
            let isThere = rows.count > 1 && rows[rows.count - 1].text.isEmpty && isFull(rows.count - 2)
            if !isThere { rows.append(Row()) }
            return
        }
        // The quick way, for most of a long paste.
        if character.utf8.count == 1, (0x20..<0x7F).contains(character.utf8.first ?? 0) {
            return put(character, width: 1)
        }
        // The characters that are shown for it have columns of their own.
        let shown = character == "\t" ? "    " : PrintableText.printable(String(character))
        for sign in shown { put(sign, width: String(sign).displayWidth) }
    }

    private mutating func put(_ sign: Character, width: Int) {
        if rows[rows.count - 1].width + width > columns, rows[rows.count - 1].width > 0 { rows.append(Row()) }
        rows[rows.count - 1].text.append(sign)
        rows[rows.count - 1].width += width
        if isFull(rows.count - 1) { rows.append(Row()) }
    }
}
