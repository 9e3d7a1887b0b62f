/// The colours of a conversation: who speaks, and what is no part of it. None in pipes, on a terminal that knows none, and where
/// NO_COLOR says so (https://no-color.org).
package struct TerminalStyle: Sendable {
    private let isColoured: Bool

    package init(isTerminal: Bool, environment: [String: String]) {
        isColoured =
            isTerminal && Self.canSteer(environment: environment) && environment["NO_COLOR"].map(\.isEmpty) ?? true
    }

    /// Whether the terminal moves its cursor when it is told to; one without a name is not asked.
    package static func canSteer(environment: [String: String]) -> Bool {
        environment["TERM"].map { !$0.isEmpty && $0 != "dumb" } ?? false
    }

    /// Bold cyan.
    package func prompt(_ text: String) -> String { painted(text, "1;36") }
    /// What the person writes: cyan.
    package func typed(_ text: String) -> String { painted(text, "36") }
    /// What the command says: faint.
    package func note(_ text: String) -> String { painted(text, "2") }

    private func painted(_ text: String, _ code: String) -> String {
        isColoured && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
