/// The last output of one backend, as lines fit for a terminal: bounded in bytes and lines, whatever is written, and in
/// the work for each piece of output.
struct BackendLog {
    private let bytesMax: Int
    private let linesMax: Int
    private let lineBytesMax: Int

    private var kept: [String] = []
    /// Where the oldest kept line is; what lies before it is let go of from time to time.
    private var first = 0
    private var keptBytes = 0
    private var partial: [UInt8] = []
    private(set) var droppedLines: UInt64 = 0
    /// Lines that came before the process that writes now.
    private var earlierLines: UInt64 = 0

    init(bytesMax: Int, linesMax: Int, lineBytesMax: Int) {
        self.bytesMax = bytesMax
        self.linesMax = linesMax
        self.lineBytesMax = lineBytesMax
    }

    /// The kept lines, oldest first, after a note of how many were dropped.
    var lines: [String] {
        var lines = Array(kept[first...])
        if !partial.isEmpty { lines.append(printable(partial)) }
        if droppedLines > 0 { lines.insert("(\(droppedLines) earlier lines were dropped)", at: 0) }
        return lines
    }

    /// The kept lines of the process that writes now.
    var linesOfProcess: [String] {
        let earlier = Int(clamping: earlierLines - min(earlierLines, droppedLines))
        return kept[first...].dropFirst(earlier) + (partial.isEmpty ? [] : [printable(partial)])
    }

    /// What comes from here on is another process's.
    mutating func beginProcess() {
        if !partial.isEmpty { endLine() }
        earlierLines = droppedLines + UInt64(kept.count - first)
    }

    /// Takes output as it comes; a line longer than the limit goes on in the next. Lines that could not be kept anyway are
    /// counted and not made.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        if let last = lastOfTooMany(bytes) {
            droppedLines += UInt64(bytes[...last].count { $0 == UInt8(ascii: "\n") })
            partial.removeAll(keepingCapacity: true)
            rest = bytes[(last + 1)...]
        }
        while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
            extendPartial(rest[..<newline])
            endLine()
            rest = rest[(newline + 1)...]
        }
        extendPartial(rest)
    }

    /// Adds a line of the host's own.
    mutating func note(_ line: String) {
        if !partial.isEmpty { endLine() }
        partial = Array(line.utf8.prefix(lineBytesMax))
        endLine()
    }

    /// The line end behind which there are as many lines as are kept; nil where there are fewer.
    private func lastOfTooMany(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var ends = 0
        for index in bytes.indices.reversed() where bytes[index] == UInt8(ascii: "\n") {
            if ends == linesMax { return index }
            ends += 1
        }
        return nil
    }

    private mutating func extendPartial(_ bytes: Slice<UnsafeRawBufferPointer>) {
        var rest = bytes
        while partial.count + rest.count > lineBytesMax {
            let room = lineBytesMax - partial.count
            partial.append(contentsOf: rest.prefix(room))
            rest = rest.dropFirst(room)
            endLine()
        }
        partial.append(contentsOf: rest)
    }

    private mutating func endLine() {
        let line = printable(partial)
        partial.removeAll(keepingCapacity: true)
        kept.append(line)
        keptBytes += line.utf8.count
        while keptBytes > bytesMax || kept.count - first > linesMax {
            keptBytes -= kept[first].utf8.count
            kept[first] = ""
            first += 1
            droppedLines += 1
        }
        if first > linesMax {
            kept.removeFirst(first)
            first = 0
        }
    }
}

/// Bytes from a backend as text that cannot steer a terminal or forge a line: whatever is no text becomes U+FFFD.
func printable(_ bytes: some Collection<UInt8>) -> String {
    var text = String(decoding: bytes, as: UTF8.self)
    if text.hasSuffix("\r") { text.removeLast() }
    return printable(text)
}

/// Text from a backend without control characters.
func printable(_ text: String) -> String {
    let isHarmless = { (scalar: Unicode.Scalar) in
        switch scalar.properties.generalCategory {
        case .control: scalar == "\t"
        // Format characters reorder or hide what stands around them.
        case .format, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
    if text.unicodeScalars.allSatisfy(isHarmless) { return text }
    var clean = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { clean.append(isHarmless(scalar) ? scalar : "\u{FFFD}") }
    return String(clean)
}
