/// A table of text with aligned columns, two spaces between them, and no trailing spaces. Cells are made printable, so
/// that none can forge another.
package struct TextTable {
    private static let gap = 2

    private let rows: [[String]]
    private let hasHeader: Bool
    /// The widest cell of each column, as terminals show it.
    private let widths: [Int]

    package init(_ rows: [[String]], hasHeader: Bool = true) {
        let rows = rows.map { $0.map(Self.cell) }
        self.rows = rows
        self.hasHeader = hasHeader
        widths = (0..<(rows.map(\.count).max() ?? 0)).map { column in
            rows.map { column < $0.count ? $0[column].displayWidth : 0 }.max() ?? 0
        }
    }

    /// One line for each row.
    package var lines: [String] { rows.map { Self.line($0, widths) } }

    /// `columns`: the terminal's width; nil: there is no terminal. A table with a header that is wider than the
    /// terminal is written with each cell on a line of its own, so that the terminal does not break lines at random.
    package func text(columns: Int? = nil) -> String {
        if let columns, hasHeader, rows.count > 1, !fits(columns) { return records }
        return lines.joined(separator: "\n")
    }

    private static func cell(_ text: String) -> String { printable(text).replacing("\t", with: " ") }

    private static func line(_ row: [String], _ widths: [Int]) -> String {
        var line = ""
        for (column, cell) in row.enumerated() {
            line += cell
            if column < row.count - 1 {
                line += String(repeating: " ", count: widths[column] - cell.displayWidth + gap)
            }
        }
        while line.hasSuffix(" ") { line.removeLast() }
        return line
    }

    /// The last column may have sentences, which a terminal may break if there is room for a few words.
    private func fits(_ columns: Int) -> Bool {
        let others = widths.dropLast().reduce(0) { $0 + $1 + Self.gap }
        return others + min(widths.last ?? 0, 24) <= columns
    }

    private var records: String {
        let width = rows[0].map(\.displayWidth).max() ?? 0
        return rows.dropFirst().map { row in
            zip(rows[0], row).filter { !$1.isEmpty }.map { Self.line([$0, $1], [width, 0]) }.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }
}
