/// A JSON text that is refused: the place, and what to write instead.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    /// The file; empty for text that is not from a file.
    package let file: String
    /// From 1; 0 when the file as a whole is meant.
    package let line: Int
    package let message: String
    /// Whether the file could not be read for the moment: another attempt may succeed without a repair.
    package let isTransient: Bool

    package init(file: String, line: Int = 0, _ message: String, isTransient: Bool = false) {
        self.file = file
        self.line = line
        self.message = message
        self.isTransient = isTransient
    }

    package var description: String {
        line > 0 ? "\(file):\(line): \(message)" : file.isEmpty ? message : "\(file): \(message)"
    }
}

/// The bounds on the JSON that this target reads.
package enum JSONLimits {
    package static let fileBytesMax = 1 << 20
    package static let nestingMax = 16
}
