internal import TerminalText

/// The message that is shown while a request waits. On a terminal it is one line that is rewritten and erased;
/// elsewhere each message is a line of its own, unless it equals the last.
package struct WaitingLine: Sendable {
    private let style: TerminalStyle
    /// The columns of the terminal; nil: it is none, or cannot move its cursor.
    private let columns: Int?
    private var shown: String?

    package init(style: TerminalStyle, columns: Int?) { (self.style, self.columns) = (style, columns) }

    /// The output that shows this message; it is to be written unchanged, with no line end added.
    /// `waitSeconds`: how long it may still take, where that is known.
    package mutating func show(position: UInt32, loadedFraction: Float?, waitSeconds: Int64? = nil) -> String {
        let before = "\(position) before this"
        var text = "waiting, \(before)"
        // The time comes from the host and may be any number.
        if let waitSeconds, waitSeconds >= 0, waitSeconds < .max {
            text += waitSeconds < 60 ? ", about \(waitSeconds + 1) s" : ", about \(waitSeconds / 60 + 1) min"
        }
        if let loadedFraction {
            // The fraction comes from the host and may be any number.
            let percent = loadedFraction.isFinite ? Int(100 * max(0, min(1, loadedFraction))) : 0
            text = "loading the model, \(percent) %" + (position > 0 ? ", \(before)" : "")
        }
        guard text != shown else { return "" }
        shown = text
        guard let columns else { return style.note("[\(text)]") + "\n" }
        // The last column stays free: a line that is broken could not be written anew.
        return "\r\u{1B}[K" + style.note(String("[\(text)]".prefix(max(1, columns - 1))))
    }

    /// The output that erases the message, to be written before any other output.
    package mutating func erase() -> String {
        defer { shown = nil }
        return shown != nil && columns != nil ? "\r\u{1B}[K" : ""
    }
}
