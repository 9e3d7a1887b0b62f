/// A conversation as a file that a person can read and `init(file:)` reads exactly: a first line that names the format,
/// and then each line of the messages, after a sign for its speaker. A line with characters that could control a
/// terminal has a `\` after the sign, and such characters in it are written as `\u{HEX}`.
///
///     hearth conversation 1
///
///     = You are terse.
///
///     > What is two plus three?
///     < Five.
extension Conversation {
    package struct FileError: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// A larger file is not read.
    package static let fileBytesMax = 64 << 20
    private static let title = "hearth conversation 1"

    package var file: String {
        var text = Self.title + "\n"
        func add(_ sign: Character, _ said: String) {
            for line in said.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
                text += Self.line(sign, Substring(line)) + "\n"
            }
        }
        if let system {
            text += "\n"
            add("=", system)
        }
        for turn in turns {
            text += "\n"
            add(">", turn.question)
            add("<", turn.answer)
        }
        return text
    }

    package init(file text: String) throws(FileError) {
        let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { Substring($0) }
        guard lines.first == Self.title[...] else {
            let isOlder = lines.first?.hasPrefix("> ") == true
            throw FileError(
                description: isOlder
                    ? "it was saved by an earlier version, whose files do not say exactly who said what"
                    : "it is no conversation that /save has written")
        }
        var said: [(sign: Unicode.Scalar, text: String)] = []
        for (number, line) in lines.enumerated().dropFirst() where !line.isEmpty {
            guard let (sign, content) = Self.read(line) else {
                throw FileError(description: "line \(number + 1) does not begin with '= ', '> ' or '< '")
            }
            // A blank line, or another speaker, ends the message.
            if let last = said.last, last.sign == sign, !lines[number - 1].isEmpty {
                said[said.count - 1].text += "\n" + content
            } else {
                said.append((sign, content))
            }
        }
        self.init(system: nil)
        if said.first?.sign == "=" { system = said.removeFirst().text }
        guard said.count.isMultiple(of: 2) else { throw FileError(description: "its last question has no answer") }
        for place in stride(from: 0, to: said.count, by: 2) {
            guard said[place].sign == ">", said[place + 1].sign == "<" else {
                throw FileError(description: "its questions ('> ') and answers ('< ') do not take turns")
            }
            note(question: said[place].text, answer: said[place + 1].text)
        }
    }

    private static func line(_ sign: Character, _ said: Substring) -> String {
        guard said.unicodeScalars.contains(where: steers) else { return said.isEmpty ? "\(sign)" : "\(sign) \(said)" }
        var line = "\(sign)\\"
        for scalar in said.unicodeScalars {
            if scalar == "\\" {
                line += "\\\\"
            } else if steers(scalar) {
                line += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    private static func steers(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control: scalar != "\t"
        case .lineSeparator, .paragraphSeparator: true
        // Characters that override the direction of writing (Unicode Standard Annex 9).
        default: (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
        }
    }

    private static func read(_ line: Substring) -> (sign: Unicode.Scalar, content: String)? {
        guard let sign = line.unicodeScalars.first, "=><".unicodeScalars.contains(sign) else { return nil }
        let rest = Substring(line.unicodeScalars.dropFirst())
        guard let second = rest.unicodeScalars.first else { return (sign, "") }
        let content = Substring(rest.unicodeScalars.dropFirst())
        if second == " " { return (sign, String(content)) }
        return second == "\\" ? unescaped(content).map { (sign, $0) } : nil
    }

    private static func unescaped(_ line: Substring) -> String? {
        var text = String.UnicodeScalarView()
        var rest = line.unicodeScalars
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                text.append(scalar)
                continue
            }
            if rest.first == "\\" {
                text.append(rest.removeFirst())
                continue
            }
            guard rest.starts(with: "u{".unicodeScalars), let end = rest.firstIndex(of: "}"),
                let value = UInt32(String(rest[rest.startIndex..<end].dropFirst(2)), radix: 16),
                let scalar = Unicode.Scalar(value)
            else { return nil }
            text.append(scalar)
            rest = rest[rest.index(after: end)...]
        }
        return String(text)
    }
}
