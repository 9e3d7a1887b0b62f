/// Joins the lines between `"""` and `"""` into one prompt; any other line is a prompt of its own.
package struct PromptAssembler: Sendable {
    package enum Outcome: Equatable, Sendable {
        /// More lines must come.
        case more
        /// A complete prompt; a quoted one is no instruction, whatever it begins with.
        case prompt(String, isQuoted: Bool, typed: String)
    }

    private static let quotes = "\"\"\""
    private var lines: [String] = []

    package init() {}

    package var isOpen: Bool { !lines.isEmpty }

    package mutating func take(_ line: String) -> Outcome {
        let isFirst = lines.isEmpty
        let begin = line.drop { $0.isWhitespace }
        guard !isFirst || begin.hasPrefix(Self.quotes) else { return .prompt(line, isQuoted: false, typed: line) }
        lines.append(line)
        let rest = isFirst ? begin.dropFirst(Self.quotes.count) : line[...]
        var end = rest
        while end.last?.isWhitespace == true { end.removeLast() }
        guard end.hasSuffix(Self.quotes) else { return .more }
        let typed = lines.joined(separator: "\n")
        lines = []
        var text = typed.drop { $0.isWhitespace }.dropFirst(Self.quotes.count)
        while text.last?.isWhitespace == true { text.removeLast() }
        text = text.dropLast(Self.quotes.count)
        // Text on the lines of the quotes belongs to the prompt; an empty rest does not.
        if text.first == "\n" { text.removeFirst() }
        if text.last == "\n" { text.removeLast() }
        return .prompt(String(text), isQuoted: true, typed: typed)
    }

    package mutating func giveUp() { lines = [] }
}
