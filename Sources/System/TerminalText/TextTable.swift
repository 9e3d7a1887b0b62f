/// Columns of text, aligned with two spaces between them. Cells are made printable, so that none can forge another.
package enum TextTable {
    private static let gap = 2

    /// `columns`: the terminal's width; nil: there is none. A table with a header that is wider shows one row below the other,
    /// each cell on a line of its own, rather than have the terminal break every line somewhere.
    package static func render(_ rows: [[String]], hasHeader: Bool = true, columns: Int? = nil) -> String {
        let rows = rows.map { $0.map(cell) }
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].displayWidth : 0 }.max() ?? 0
        }
        if let columns, hasHeader, rows.count > 1, !fits(widths, columns) { return records(rows) }
        return rows.map { row in line(row, widths) }.joined(separator: "\n")
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

    /// The last column may be of sentences, which a terminal may break as long as there is room for a few words.
    private static func fits(_ widths: [Int], _ columns: Int) -> Bool {
        let others = widths.dropLast().reduce(0) { $0 + $1 + gap }
        return others + min(widths.last ?? 0, 24) <= columns
    }

    private static func records(_ rows: [[String]]) -> String {
        let width = rows[0].map(\.displayWidth).max() ?? 0
        return rows.dropFirst().map { row in
            zip(rows[0], row).filter { !$1.isEmpty }.map { line([$0, $1], [width, 0]) }.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }
}
