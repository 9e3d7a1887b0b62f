import TerminalText

/// A terminal of the simplest kind that wraps at its last column as xterm does: what it shows, for what is written to it.
struct ScreenDouble {
    let columns: Int
    let rowCount: Int
    private(set) var rows: [[Character]]
    private(set) var row = 0
    private(set) var column = 0
    /// Everything that went off its top.
    private(set) var scrolled: [String] = []

    init(columns: Int, rows: Int) {
        (self.columns, rowCount) = (columns, rows)
        self.rows = Array(repeating: [], count: rows)
    }

    /// Without empty rows at the end.
    var shown: [String] {
        var lines = rows.map { String($0.filter { $0 != "\u{0}" }) }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    mutating func write(_ text: String) {
        var rest = text.unicodeScalars[...]
        var word = String.UnicodeScalarView()
        func isPlain(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= 0x20 }
        while let scalar = rest.first {
            if isPlain(scalar) {
                word.append(scalar)
                rest.removeFirst()
                continue
            }
            put(String(word))
            word = .init()
            rest.removeFirst()
            switch scalar {
            case "\r": column = 0
            case "\n": lineFeed()
            case "\u{1B}":
                precondition(rest.popFirst() == "[", "only control sequences are known")
                let body = rest.prefix { (0x20..<0x40).contains($0.value) }
                rest.removeFirst(body.count)
                sequence(rest.removeFirst(), Int(String(String.UnicodeScalarView(body))))
            default: preconditionFailure("a control that nobody should write: \(scalar.value)")
            }
        }
        put(String(word))
    }

    private mutating func put(_ text: String) {
        for character in text {
            let width = String(character).displayWidth
            if column + width > columns {
                lineFeed()
                column = 0
            }
            while rows[row].count < column { rows[row].append(" ") }
            rows[row].removeSubrange(min(column, rows[row].count)..<min(column + width, rows[row].count))
            rows[row].insert(contentsOf: [character] + (width == 2 ? ["\u{0}"] : []), at: column)
            column += width
        }
    }

    private mutating func lineFeed() {
        if row + 1 < rowCount {
            row += 1
            return
        }
        scrolled.append(String(rows.removeFirst().filter { $0 != "\u{0}" }))
        rows.append([])
    }

    private mutating func sequence(_ final: Unicode.Scalar, _ count: Int?) {
        switch final {
        case "A": row = max(0, row - (count ?? 1))
        case "B": row = min(rowCount - 1, row + (count ?? 1))
        case "C": column = min(columns - 1, column + (count ?? 1))
        case "H": (row, column) = (0, 0)
        case "J":
            if count == 2 {
                rows = Array(repeating: [], count: rowCount)
                return
            }
            rows[row] = Array(rows[row].prefix(column))
            for below in (row + 1)..<max(row + 1, rowCount) { rows[below] = [] }
        case "K": rows[row] = Array(rows[row].prefix(column))
        case "m": break
        default: preconditionFailure("a sequence that nobody should write: \(final)")
        }
    }
}
