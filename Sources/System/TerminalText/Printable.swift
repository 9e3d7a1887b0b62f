/// Makes untrusted text one line that cannot control a terminal, forge a line or a column, or hide what it says:
/// control characters, line ends, and format characters that reorder or hide the text around them become U+FFFD. Tabs
/// stay.
package func printable(_ text: String) -> String {
    replacing(in: text) { scalar in
        switch scalar.properties.generalCategory {
        case .control: scalar == "\t"
        case .format, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}

/// The same for bytes; those that are no UTF-8 become U+FFFD too, and a carriage return at the end is left out.
package func printable(_ bytes: some Collection<UInt8>) -> String {
    var text = String(decoding: bytes, as: UTF8.self)
    if text.unicodeScalars.last == "\r" { text.unicodeScalars.removeLast() }
    return printable(text)
}

/// JSON in which characters that could control a terminal are written as `\uXXXX`: its meaning stays the same, because
/// such characters occur only in strings.
package func printableJSON(_ json: String) -> String {
    if json.unicodeScalars.allSatisfy({ PrintableText.isHarmless($0) }) { return json }
    var clean = ""
    for scalar in json.unicodeScalars {
        guard !PrintableText.isHarmless(scalar) else {
            clean.unicodeScalars.append(scalar)
            continue
        }
        for unit in String(scalar).utf16 {
            let digits = String(unit, radix: 16)
            clean += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
    return clean
}

/// Makes untrusted text that comes in pieces, such as a model's answer, harmless for a terminal. Lines and tabs stay,
/// and so does what languages need: joiners, variation selectors, the marks of Arabic and Hebrew. Control characters,
/// escape sequences and characters that override the direction of writing become U+FFFD. A carriage return before a
/// line end is left out.
package struct PrintableText: Sendable {
    private var heldReturn = false

    package init() {}

    /// The part of this piece, and of what was held back, that can be shown.
    package mutating func take(_ piece: String) -> String {
        if !heldReturn, piece.unicodeScalars.allSatisfy(PrintableText.isHarmless) { return piece }
        var clean = String.UnicodeScalarView()
        for scalar in piece.unicodeScalars {
            if heldReturn, scalar != "\n" { clean.append("\u{FFFD}") }
            heldReturn = scalar == "\r"
            if !heldReturn { clean.append(PrintableText.isHarmless(scalar) ? scalar : "\u{FFFD}") }
        }
        return String(clean)
    }

    /// The text that was held back, at the end.
    package mutating func end() -> String {
        defer { heldReturn = false }
        return heldReturn ? "\u{FFFD}" : ""
    }

    /// The same for a whole text.
    package static func printable(_ text: String) -> String {
        var filter = PrintableText()
        return filter.take(text) + filter.end()
    }

    static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: true
        case 0x00..<0x20, 0x7F..<0xA0: false
        // Embeddings, overrides and isolates (Unicode Standard Annex 9), which affect text beyond their own words.
        case 0x202A...0x202E, 0x2066...0x2069: false
        // Line and paragraph separators, and annotations, which hide the text that they enclose.
        case 0x2028...0x2029, 0xFFF9...0xFFFB: false
        default: true
        }
    }
}

private func replacing(in text: String, unless isHarmless: (Unicode.Scalar) -> Bool) -> String {
    if text.unicodeScalars.allSatisfy(isHarmless) { return text }
    var clean = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { clean.append(isHarmless(scalar) ? scalar : "\u{FFFD}") }
    return String(clean)
}
