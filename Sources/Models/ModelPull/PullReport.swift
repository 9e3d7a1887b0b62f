package import LinuxSystem
internal import TerminalText

/// Shows a pull's events: on a terminal with a line that is drawn anew, elsewhere in lines. Pure.
package struct PullReport: Sendable {
    /// The columns of the terminal; nil: it is none.
    package var columns: Int?
    private var file = ""
    private var rate = TransferRate()
    private var isLineOpen = false
    private var phase: PullEvent.Kind?
    /// The last tenth that a line was written for elsewhere than on a terminal.
    private var tenth: UInt64 = 0

    package init(columns: Int?) { self.columns = columns }

    /// The output for an event, to be written unchanged.
    package mutating func take(_ event: PullEvent, at now: Monotonic) -> String {
        switch event.kind {
        case .resolving: return columns == nil ? "" : draw("looking for \(printable(event.text))")
        case .licence:
            let lines = event.text.split(separator: "\n").map { "  " + printable(String($0)) }
            return line((["Its licence:"] + lines).joined(separator: "\n"))
        case .found:
            file = printable(event.text)
            return event.total == 0 ? "" : line("\(file), \(ByteCount.text(event.total))")
        case .note: return line(printable(event.text))
        case .verifying, .downloading: return progress(event, now)
        case .done, .failed: return erase()
        }
    }

    /// The output that erases the line that is drawn anew.
    package mutating func erase() -> String {
        defer { isLineOpen = false }
        return isLineOpen ? "\r\u{1B}[K" : ""
    }

    private mutating func line(_ text: String) -> String { erase() + text + "\n" }

    private mutating func draw(_ text: String) -> String {
        isLineOpen = true
        var shown = ""
        var width = 0
        // The last column stays free: a line that is broken could not be drawn anew.
        for character in text {
            width += String(character).displayWidth
            if width >= columns ?? .max { break }
            shown.append(character)
        }
        return "\r\u{1B}[K" + shown
    }

    private mutating func progress(_ event: PullEvent, _ now: Monotonic) -> String {
        let isNew = phase != event.kind
        if isNew {
            phase = event.kind
            rate = TransferRate()
            tenth = 0
        }
        rate.note(event.done, at: now)
        guard let columns else {
            // It takes seconds.
            if event.kind == .verifying { return isNew ? "verifying \(file)\n" : "" }
            let now = min(event.done, event.total) / max(event.total / 10, 1)
            guard event.total > 0, now > tenth else { return "" }
            tenth = now
            return "downloading \(file), \(Self.percent(event)) %\n"
        }
        var after = ByteCount.text(event.done)
        if event.total > 0 { after = "\(Self.percent(event)) %  \(ByteCount.pair(event.done, event.total))" }
        if let rate = rate.bytesPerSecond {
            after += "  \(ByteCount.text(rate))/s"
            if event.total > event.done, rate > 0 { after += "  \(Self.time((event.total - event.done) / rate)) left" }
        }
        let before = event.kind == .verifying ? "verifying \(file)" : file
        let room = columns - 1 - before.displayWidth - after.displayWidth - 2 - 3
        guard event.total > 0, room >= 8 else { return draw("\(before)  \(after)") }
        let width = min(room, 40)
        let full = Int(Double(width) * min(1, Double(event.done) / Double(event.total)))
        let bar = String(repeating: "#", count: full) + String(repeating: "-", count: width - full)
        return draw("\(before) [\(bar)] \(after)")
    }

    package static func percent(_ event: PullEvent) -> UInt64 {
        event.total == 0 ? 0 : UInt64(min(1, Double(event.done) / Double(event.total)) * 100)
    }

    private static func time(_ seconds: UInt64) -> String {
        switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3_600: "\(seconds / 60) min"
        default: "\(min(seconds / 3_600, 999)) h"
        }
    }
}

/// The rate of the last ten seconds. Pure.
struct TransferRate: Sendable {
    private var samples: [(moment: Monotonic, bytes: UInt64)] = []

    mutating func note(_ bytes: UInt64, at now: Monotonic) {
        // Bytes that are fetched anew are not progress.
        if let last = samples.last, bytes < last.bytes { samples = [] }
        samples.removeAll { now.since($0.moment) > 10_000_000_000 }
        samples.append((now, bytes))
        if samples.count > 256 { samples.removeFirst() }
    }

    /// Nil before there was time to measure it.
    var bytesPerSecond: UInt64? {
        guard let first = samples.first, let last = samples.last else { return nil }
        let nanoseconds = last.moment.since(first.moment)
        guard nanoseconds >= 500_000_000 else { return nil }
        return UInt64(Double(last.bytes - first.bytes) / Double(nanoseconds) * 1e9)
    }
}

/// Bytes for people, in powers of 1024 with one decimal.
package enum ByteCount {
    private static let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]

    package static func text(_ bytes: UInt64) -> String {
        let unit = unit(of: bytes)
        return "\(number(bytes, unit)) \(units[unit])"
    }

    /// "12.0/95.1 MiB".
    static func pair(_ part: UInt64, _ whole: UInt64) -> String {
        let unit = unit(of: whole)
        return "\(number(part, unit))/\(number(whole, unit)) \(units[unit])"
    }

    private static func unit(of bytes: UInt64) -> Int {
        (0..<units.count - 1).first { bytes >> (10 * UInt64($0 + 1)) == 0 } ?? units.count - 1
    }

    private static func number(_ bytes: UInt64, _ unit: Int) -> String {
        guard unit > 0 else { return "\(bytes)" }
        let tenths = (bytes >> (10 * UInt64(unit - 1))) * 10 / 1_024
        return "\(tenths / 10).\(tenths % 10)"
    }
}
