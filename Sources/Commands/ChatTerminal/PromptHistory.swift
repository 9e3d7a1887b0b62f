/// The prompts of earlier conversations, oldest first, within bounds; its file has one entry a line.
package struct PromptHistory: Equatable, Sendable {
    private static let entriesMax = 1000
    /// A longer one is not remembered.
    private static let entryBytesMax = 64 << 10
    /// The most bytes of the file; more than `file` can have.
    package static let fileBytesMax = 4 << 20
    private static let bytesMax = 1 << 20

    package private(set) var entries: [String] = []

    package init() {}

    /// Reads a file; no line of it is an error.
    package init(file text: String) {
        for line in text.split(separator: "\n") { add(Self.unescaped(line)) }
    }

    /// Adds an entry, unless it equals the one before, is empty or is too long.
    package mutating func add(_ entry: String) {
        guard entries.last != entry, !entry.isEmpty, entry.utf8.count <= Self.entryBytesMax else { return }
        entries.append(entry)
        if entries.count > Self.entriesMax { entries.removeFirst(entries.count - Self.entriesMax) }
    }

    /// The content for a file: the latest entries that have room.
    package var file: String {
        var lines: [String] = []
        var bytes = 0
        for entry in entries.reversed() {
            let line = Self.escaped(entry)
            bytes += line.utf8.count + 1
            guard bytes <= Self.bytesMax else { break }
            lines.append(line)
        }
        return lines.reversed().map { $0 + "\n" }.joined()
    }

    private static func escaped(_ entry: String) -> String {
        var line = String.UnicodeScalarView()
        for scalar in entry.unicodeScalars {
            switch scalar {
            case "\\": line.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": line.append(contentsOf: "\\n".unicodeScalars)
            default: line.append(scalar)
            }
        }
        return String(line)
    }

    private static func unescaped(_ line: Substring) -> String {
        var entry = String.UnicodeScalarView()
        var isEscaped = false
        for scalar in line.unicodeScalars {
            if !isEscaped, scalar == "\\" {
                isEscaped = true
                continue
            }
            entry.append(isEscaped && scalar == "n" ? "\n" : scalar)
            isEscaped = false
        }
        return String(entry)
    }
}
