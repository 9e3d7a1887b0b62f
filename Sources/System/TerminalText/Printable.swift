/// Text of others as one line that cannot steer a terminal, forge a line or a column, or hide what it says: controls, line
/// ends, and the format characters that reorder or hide what stands around them become U+FFFD. Tabs stay.
package func printable(_ text: String) -> String {
    replacing(in: text) { scalar in
        switch scalar.properties.generalCategory {
        case .control: scalar == "\t"
        case .format, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}

/// The same of bytes; those that are no UTF-8 become U+FFFD too, and a carriage return at the end is left out.
package func printable(_ bytes: some Collection<UInt8>) -> String {
    var text = String(decoding: bytes, as: UTF8.self)
    if text.unicodeScalars.last == "\r" { text.unicodeScalars.removeLast() }
    return printable(text)
}

/// JSON with what could steer a terminal written as `\uXXXX`: the same JSON, because such characters stand in its strings
/// only.
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

/// Text of others that comes in pieces, such as a model's answer, made harmless for a terminal as it comes. Lines and tabs stay,
/// and so does what languages need: joiners, variation selectors, the marks of Arabic and Hebrew. Controls, escape sequences and
/// what overrides the direction of writing become U+FFFD. A carriage return before a line end is left out.
package struct PrintableText: Sendable {
    private var heldReturn = false

    package init() {}

    /// What of this piece, and of what was held back, can be shown.
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

    /// What was held back at the end.
    package mutating func end() -> String {
        defer { heldReturn = false }
        return heldReturn ? "\u{FFFD}" : ""
    }

    /// A whole text.
    package static func printable(_ text: String) -> String {
        var filter = PrintableText()
        return filter.take(text) + filter.end()
    }

    static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: true
        case 0x00..<0x20, 0x7F..<0xA0: false
        // Embeddings, overrides and isolates (Unicode Standard Annex 9), which reach beyond the words that they are for.
        case 0x202A...0x202E, 0x2066...0x2069: false
        // Line and paragraph separators, and annotations, which hide what they stand around.
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
