internal import TerminalText

/// Makes the output with which a terminal shows a text that is being edited. Each result is to be written unchanged.
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

    /// Shows the present text in place of what was drawn before.
    package mutating func draw(prompt: String, left: String, right: String, size: Size) -> String {
        let layout = TextLayout(prompt: prompt, left: left, right: right, columns: size.columns)
        let shown = Self.shown(of: layout, rows: size.rows)
        let next = Drawn(prompt: prompt, left: left, right: right, layout: layout, shown: shown)
        defer { drawn = next }
        if let drawn, let more = Self.appended(to: drawn, in: next) { return style.typed(more) }
        return home(size) + whole(next)
    }

    /// Moves the cursor to a new line behind the text, which stays.
    package mutating func finish(size: Size) -> String {
        guard let last = drawn else { return "" }
        let count = last.layout.rows.count
        let all = Drawn(prompt: last.prompt, left: last.left, right: last.right, layout: last.layout, shown: 0..<count)
        // A text that did not fit the screen is written whole.
        var text = last.shown == all.shown ? "" : home(size) + whole(all)
        let below = count - 1 - last.layout.cursor.row
        if below > 0 { text += "\u{1B}[\(below)B" }
        let isFresh = count > 1 && last.layout.rows[count - 1].text.isEmpty && last.layout.isFull(count - 2)
        drawn = nil
        return text + (isFresh ? "\r" : "\r\n")
    }

    /// Clears the screen and shows the text in its first row.
    package mutating func clear(size: Size) -> String {
        guard let last = drawn else { return "" }
        drawn = nil
        return "\u{1B}[H\u{1B}[2J" + draw(prompt: last.prompt, left: last.left, right: last.right, size: size)
    }

    /// Forgets what was drawn, because other output was written since.
    package mutating func forget() { drawn = nil }

    /// Moves to the start of the text, which is then written over. If the width has changed, most terminals have
    /// wrapped the rows anew.
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
        // Erasing comes after the text: some terminals keep a screen that is erased whole. After a full row it would
        // erase its last letter.
        if !layout.isFull(shown.upperBound - 1) { text += "\u{1B}[J" }
        let below = shown.upperBound - 1 - layout.cursor.row
        guard below > 0 || layout.cursor.column != layout.rows[shown.upperBound - 1].width else { return text }
        if below > 0 { text += "\u{1B}[\(below)A" }
        return text + "\r" + (layout.cursor.column > 0 ? "\u{1B}[\(layout.cursor.column)C" : "")
    }

    /// The text that was added at the end of the last row; nil if more than that has changed.
    private static func appended(to old: Drawn, in new: Drawn) -> String? {
        guard old.prompt == new.prompt, old.right.isEmpty, new.right.isEmpty, old.shown == new.shown,
            old.layout.columns == new.layout.columns, old.layout.rows.dropLast() == new.layout.rows.dropLast(),
            let before = old.layout.rows.last, let now = new.layout.rows.last,
            now.text.unicodeScalars.starts(with: before.text.unicodeScalars)
        else { return nil }
        let more = String(String.UnicodeScalarView(now.text.unicodeScalars.dropFirst(before.text.unicodeScalars.count)))
        return before.width + more.displayWidth == now.width ? more : nil
    }

    /// The rows to show: as many as the screen has, the cursor's among them.
    private static func shown(of layout: TextLayout, rows: Int) -> Range<Int> {
        let count = layout.rows.count
        guard count > rows else { return 0..<count }
        let first = min(max(0, layout.cursor.row - rows / 2), count - rows)
        return first..<(first + rows)
    }
}
