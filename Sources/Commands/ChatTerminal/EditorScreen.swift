internal import TerminalText

/// What a terminal must be told so that it shows a text that is being written. Each answer is to be written as it is.
package struct EditorScreen: Sendable {
    package struct Size: Equatable, Sendable {
        let columns: Int
        let rows: Int
        package init(columns: Int, rows: Int) { (self.columns, self.rows) = (max(columns, 2), max(rows, 2)) }
    }

    private struct Drawn {
        let prompt: String
        let left: String
        let right: String
        let layout: TextLayout
        let shown: Range<Int>
    }

    private let style: TerminalStyle
    private var drawn: Drawn?

    package init(style: TerminalStyle) { self.style = style }

    /// The text as it is now, after what was drawn before.
    package mutating func draw(prompt: String, left: String, right: String, size: Size) -> String {
        let layout = TextLayout(prompt: prompt, left: left, right: right, columns: size.columns)
        let shown = Self.shown(of: layout, rows: size.rows)
        let next = Drawn(prompt: prompt, left: left, right: right, layout: layout, shown: shown)
        defer { drawn = next }
        if let drawn, let more = Self.appended(to: drawn, in: next) { return style.typed(more) }
        return home(size) + whole(next)
    }

    /// The cursor goes to a new line behind the text, which stays.
    package mutating func finish(size: Size) -> String {
        guard let last = drawn else { return "" }
        let count = last.layout.rows.count
        let all = Drawn(prompt: last.prompt, left: last.left, right: last.right, layout: last.layout, shown: 0..<count)
        // What did not fit the screen is told whole.
        var text = last.shown == all.shown ? "" : home(size) + whole(all)
        let below = count - 1 - last.layout.cursor.row
        if below > 0 { text += "\u{1B}[\(below)B" }
        let isFresh = count > 1 && last.layout.rows[count - 1].text.isEmpty && last.layout.isFull(count - 2)
        drawn = nil
        return text + (isFresh ? "\r" : "\r\n")
    }

    /// An empty screen, and the text in its first row.
    package mutating func clear(size: Size) -> String {
        guard let last = drawn else { return "" }
        drawn = nil
        return "\u{1B}[H\u{1B}[2J" + draw(prompt: last.prompt, left: last.left, right: last.right, size: size)
    }

    /// Something else was written since.
    package mutating func forget() { drawn = nil }

    /// To where the text begins, which is then written over. Where the width has changed, the terminal has broken its rows anew, or
    /// so most do.
    private func home(_ size: Size) -> String {
        guard let drawn else { return "\r" }
        var row = drawn.layout.cursor.row - drawn.shown.lowerBound
        if drawn.layout.columns != size.columns {
            let again = TextLayout(prompt: drawn.prompt, left: drawn.left, right: drawn.right, columns: size.columns)
            row = min(again.cursor.row, size.rows - 1)
        }
        return (row > 0 ? "\u{1B}[\(row)A" : "") + "\r"
    }

    private func whole(_ next: Drawn) -> String {
        let (layout, shown) = (next.layout, next.shown)
        var text = layout.text(shown)
        if shown.lowerBound == 0, text.hasPrefix(next.prompt) {
            text = style.prompt(next.prompt) + style.typed(String(text.dropFirst(next.prompt.count)))
        } else {
            text = style.typed(text)
        }
        // Not before it: some terminals keep a screen that is erased whole. After a full row it would take its last letter.
        if !layout.isFull(shown.upperBound - 1) { text += "\u{1B}[J" }
        let below = shown.upperBound - 1 - layout.cursor.row
        guard below > 0 || layout.cursor.column != layout.rows[shown.upperBound - 1].width else { return text }
        if below > 0 { text += "\u{1B}[\(below)A" }
        return text + "\r" + (layout.cursor.column > 0 ? "\u{1B}[\(layout.cursor.column)C" : "")
    }

    /// What was only added at the end of the last row; nil: more than that has changed.
    private static func appended(to old: Drawn, in new: Drawn) -> String? {
        guard old.prompt == new.prompt, old.right.isEmpty, new.right.isEmpty, old.shown == new.shown,
            old.layout.columns == new.layout.columns, old.layout.rows.dropLast() == new.layout.rows.dropLast(),
            let before = old.layout.rows.last, let now = new.layout.rows.last,
            now.text.unicodeScalars.starts(with: before.text.unicodeScalars)
        else { return nil }
        let more = String(String.UnicodeScalarView(now.text.unicodeScalars.dropFirst(before.text.unicodeScalars.count)))
        return before.width + more.displayWidth == now.width ? more : nil
    }

    /// As many rows as the screen has, with the cursor among them.
    private static func shown(of layout: TextLayout, rows: Int) -> Range<Int> {
        let count = layout.rows.count
        guard count > rows else { return 0..<count }
        let first = min(max(0, layout.cursor.row - rows / 2), count - rows)
        return first..<(first + rows)
    }
}
