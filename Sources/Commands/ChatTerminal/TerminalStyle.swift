/// The colours of a conversation, which tell the speakers and the command's notes apart. There are none in pipes, on a
/// terminal without colours, and where NO_COLOR is set (https://no-color.org).
package struct TerminalStyle: Sendable {
    private let isColoured: Bool

    package init(isTerminal: Bool, environment: [String: String]) {
        isColoured =
            isTerminal && Self.canSteer(environment: environment) && environment["NO_COLOR"].map(\.isEmpty) ?? true
    }

    /// Whether the terminal can move its cursor; one without a name counts as unable.
    package static func canSteer(environment: [String: String]) -> Bool {
        environment["TERM"].map { !$0.isEmpty && $0 != "dumb" } ?? false
    }

    /// Bold cyan.
    package func prompt(_ text: String) -> String { painted(text, "1;36") }
    /// The person's text: cyan.
    package func typed(_ text: String) -> String { painted(text, "36") }
    /// The command's notes: faint.
    package func note(_ text: String) -> String { painted(text, "2") }

    private func painted(_ text: String, _ code: String) -> String {
        isColoured && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
