/// Finds the first of several strings in a stream of bytes, one byte at a time (Knuth, Morris and Pratt's automaton, one
/// for each string), so that no text is scanned twice.
package struct StopMatcher: Sendable {
    private struct Pattern {
        let bytes: [UInt8]
        /// The length of the prefix that still matches after a mismatch behind the first n bytes.
        let fallback: [Int]
        var matched = 0

        init(_ text: String) {
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
    package init(_ stops: [String]) { patterns = stops.map(Pattern.init) }

    package var isEmpty: Bool { patterns.isEmpty }

    /// The number of last bytes that may turn out to begin a stop.
    package var heldCount: Int { patterns.reduce(0) { max($0, $1.matched) } }

    /// Returns the place of the string that this byte completes, the longest if several. Nothing may be fed after that.
    package mutating func feed(_ byte: UInt8) -> Int? {
        var found: Int?
        for index in patterns.indices where patterns[index].feed(byte) {
            if patterns[index].bytes.count > found.map({ patterns[$0].bytes.count }) ?? 0 { found = index }
        }
        return found
    }

    /// The length of a string in bytes.
    package func byteCount(of stop: Int) -> Int { patterns[stop].bytes.count }
}
