internal import TerminalText

/// The last output of one backend, as lines fit for a terminal: bounded in bytes and lines, whatever is written, and in
/// the work for each piece of output.
package struct BackendLog {
    /// Tells this log from all others of this agent and of earlier ones; never 0.
    let identity = UInt64.random(in: 1...UInt64.max)
    private let bytesMax: Int
    private let linesMax: Int
    private let lineBytesMax: Int

    private var kept: [Line] = []
    /// The index of the oldest kept line; the lines before it are removed from time to time.
    private var first = 0
    private var keptBytes = 0
    private var partial: [UInt8] = []
    private(set) var droppedLines: UInt64 = 0
    /// Lines that came before the process that writes now.
    private var earlierLines: UInt64 = 0
    /// Which process writes now, and when its last output was read.
    private var pid: Int32 = 0
    private var milliseconds: UInt64 = 0

    /// A whole line, the process that wrote it, and when its end was read.
    struct Line: Equatable, Sendable {
        let pid: Int32
        /// Since 1970.
        let milliseconds: UInt64
        let text: String
    }

    package init(bytesMax: Int, linesMax: Int, lineBytesMax: Int) {
        self.bytesMax = bytesMax
        self.linesMax = linesMax
        self.lineBytesMax = lineBytesMax
    }

    /// The kept lines, oldest first, after a note of how many were dropped.
    var lines: [String] {
        var lines = kept[first...].map(\.text)
        if !partial.isEmpty { lines.append(printable(partial)) }
        if droppedLines > 0 { lines.insert("(\(droppedLines) earlier lines were dropped)", at: 0) }
        return lines
    }

    /// The kept lines of the process that writes now.
    var linesOfProcess: [String] {
        let earlier = Int(clamping: earlierLines - min(earlierLines, droppedLines))
        return kept[first...].dropFirst(earlier).map(\.text) + (partial.isEmpty ? [] : [printable(partial)])
    }

    /// The number of the last whole line, counted from 1 at the first line that was ever written.
    var lastNumber: UInt64 { droppedLines + UInt64(kept.count - first) }

    /// The text after the last whole line.
    var unfinished: String { printable(partial) }

    /// The kept lines with numbers above `number`, oldest first; all kept lines where `log` is not this log. The last
    /// of them has the number `lastNumber`.
    func lines(after number: UInt64, of log: UInt64) -> ArraySlice<Line> {
        let number = log == identity ? number : 0
        return kept[first...].suffix(Int(clamping: lastNumber - min(number, lastNumber)))
    }

    /// The same lines, with the log's own numbers.
    package func output(after number: UInt64, of log: UInt64) -> BackendOutput {
        let lines = self.lines(after: number, of: log)
        let before = lastNumber - UInt64(lines.count)
        return BackendOutput(
            log: identity,
            lines: zip(1..., lines).map { index, line in
                BackendOutput.Line(
                    number: before + index, pid: line.pid, milliseconds: line.milliseconds, text: line.text)
            }, lastNumber: lastNumber, unfinished: unfinished)
    }

    /// The output that another agent has kept, and that `process` goes on writing.
    mutating func takeOver(_ lines: [Line], of process: Int32) {
        for line in lines {
            if line.pid != pid { beginProcess(line.pid) }
            milliseconds = line.milliseconds
            partial = Array(line.text.utf8.prefix(lineBytesMax))
            endLine()
        }
        if pid != process { beginProcess(process) }
    }

    /// Output that comes from here on was written by this process.
    package mutating func beginProcess(_ pid: Int32) {
        if !partial.isEmpty { endLine() }
        self.pid = pid
        earlierLines = lastNumber
    }

    /// Takes output as it comes; a line longer than the limit goes on in the next. Lines that could not be kept anyway are
    /// counted and not made.
    package mutating func append(_ bytes: UnsafeRawBufferPointer, at milliseconds: UInt64 = 0) {
        self.milliseconds = milliseconds
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
    package mutating func note(_ line: String, at milliseconds: UInt64 = 0) {
        if !partial.isEmpty { endLine() }
        self.milliseconds = milliseconds
        partial = Array(line.utf8.prefix(lineBytesMax))
        endLine()
    }

    /// The index of the line end after which there are as many lines as are kept; nil where there are fewer.
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
        kept.append(Line(pid: pid, milliseconds: milliseconds, text: line))
        keptBytes += line.utf8.count
        while keptBytes > bytesMax || kept.count - first > linesMax {
            keptBytes -= kept[first].text.utf8.count
            kept[first] = Line(pid: 0, milliseconds: 0, text: "")
            first += 1
            droppedLines += 1
        }
        if first > linesMax {
            kept.removeFirst(first)
            first = 0
        }
    }
}
