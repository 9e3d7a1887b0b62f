/// A policy or a manifest that is refused: where, and what to write instead.
package struct SandboxPolicyError: Error, Equatable, CustomStringConvertible {
    /// The file; empty for text that came from none.
    package let file: String
    /// From 1; 0 when the file as a whole is meant.
    package let line: Int
    package let message: String

    package init(file: String, line: Int = 0, _ message: String) {
        self.file = file
        self.line = line
        self.message = message
    }

    package var description: String {
        line > 0 ? "\(file):\(line): \(message)" : file.isEmpty ? message : "\(file): \(message)"
    }
}

/// The bounds of what this target reads.
package enum SandboxPolicyLimits {
    package static let fileBytesMax = 1 << 20
    package static let nestingMax = 16
    package static let rulesMax = 1024
    package static let modelsMax = 64
    package static let optionsMax = 64
    package static let optionBytesMax = 4096
    package static let modelIDBytesMax = 128
    package static let readOnlyPathsMax = 64
}

/// Which of the known names was probably meant.
enum NearestName {
    /// " (did you mean 'x'?)", or nothing when no name is near.
    static func hint(for name: String, among known: some Sequence<String>) -> String {
        let nearest = known.lazy.map { ($0, distance(name, $0)) }.min { $0.1 < $1.1 }
        guard let nearest, nearest.1 <= max(2, name.utf8.count / 3) else { return "" }
        return " (did you mean '\(nearest.0)'?)"
    }

    /// How many bytes must be put in, taken out or changed: Levenshtein's distance, over at most 64 bytes of each.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8.prefix(64))
        let right = Array(right.utf8.prefix(64))
        var row = Array(0...right.count)
        for (i, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in right.enumerated() {
                let change = diagonal + (byte == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(change, row[j] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
