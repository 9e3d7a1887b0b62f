/// Finds the first of several strings in a stream of bytes, one byte at a time (Knuth, Morris and Pratt's automaton, one
/// for each string), so that no text is scanned twice.
struct StopMatcher {
    private struct Pattern {
        let text: String
        let bytes: [UInt8]
        /// The length of the prefix that still matches after a mismatch behind the first n bytes.
        let fallback: [Int]
        var matched = 0

        init(_ text: String) {
            self.text = text
            bytes = Array(text.utf8)
            var fallback = [Int](repeating: 0, count: bytes.count + 1)
            var length = 0
            for index in bytes.indices.dropFirst() {
                while length > 0, bytes[index] != bytes[length] { length = fallback[length] }
                if bytes[index] == bytes[length] { length += 1 }
                fallback[index + 1] = length
            }
            self.fallback = fallback
        }

        mutating func feed(_ byte: UInt8) -> Bool {
            while matched > 0, bytes[matched] != byte { matched = fallback[matched] }
            if bytes[matched] == byte { matched += 1 }
            return matched == bytes.count
        }
    }

    private var patterns: [Pattern]

    /// No string is empty.
    init(_ stops: [String]) { patterns = stops.map(Pattern.init) }

    var isEmpty: Bool { patterns.isEmpty }

    /// The number of last bytes that may turn out to begin a stop.
    var heldCount: Int { patterns.reduce(0) { max($0, $1.matched) } }

    /// Returns the string that this byte completes, the longest if several. Nothing may be fed after that.
    mutating func feed(_ byte: UInt8) -> String? {
        var found: String?
        for index in patterns.indices where patterns[index].feed(byte) {
            if patterns[index].bytes.count > (found?.utf8.count ?? 0) { found = patterns[index].text }
        }
        return found
    }
}
