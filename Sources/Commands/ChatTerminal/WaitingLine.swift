internal import TerminalText

/// What is said while a request waits. On a terminal it is one line that is written anew and goes away; elsewhere each is a line,
/// unless it says the same as the last.
package struct WaitingLine: Sendable {
    private let style: TerminalStyle
    /// Nil: no terminal that moves its cursor.
    private let columns: Int?
    private var shown: String?

    package init(style: TerminalStyle, columns: Int?) { (self.style, self.columns) = (style, columns) }

    /// What must be written so that it says this: as a whole, with no line end added.
    package mutating func show(position: UInt32, loadedFraction: Float?) -> String {
        let before = "\(position) before this"
        var text = "waiting, \(before)"
        if let loadedFraction {
            // A host may say anything.
            let percent = loadedFraction.isFinite ? Int(100 * max(0, min(1, loadedFraction))) : 0
            text = "loading the model, \(percent) %" + (position > 0 ? ", \(before)" : "")
        }
        guard text != shown else { return "" }
        shown = text
        guard let columns else { return style.note("[\(text)]") + "\n" }
        // The last column stays free: a line that is broken could not be written anew.
        return "\r\u{1B}[K" + style.note(String("[\(text)]".prefix(max(1, columns - 1))))
    }

    /// What must be written before anything else is.
    package mutating func erase() -> String {
        defer { shown = nil }
        return shown != nil && columns != nil ? "\r\u{1B}[K" : ""
    }
}
