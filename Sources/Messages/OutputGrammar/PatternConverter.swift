/// Makes the body of a rule of a pattern (ECMA-262's regular expressions, as far as they can be held): the JSON strings whose
/// text the pattern finds. Of classes that differ from one library to the other only the ASCII scalars are written.
struct PatternConverter {
    private let pattern: [Unicode.Scalar]
    private var place = 0
    private var nesting = 0

    /// What stands between the quotation marks of a JSON string.
    static func body(_ pattern: String, anything: String) throws(GrammarError) -> String {
        var converter = PatternConverter(pattern: Array(pattern.unicodeScalars))
        return try converter.whole(anything: anything)
    }

    private init(pattern: [Unicode.Scalar]) { self.pattern = pattern }

    private func failure(_ what: String) -> GrammarError {
        GrammarError("holds \(what), which cannot be held; write another pattern")
    }

    private var next: Unicode.Scalar? { place < pattern.count ? pattern[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        place += 1
        return true
    }

    /// Alternatives, each perhaps with anchors at its beginning and end.
    private mutating func whole(anything: String) throws(GrammarError) -> String {
        var alternatives: [String] = []
        repeat {
            let isFirst = take("^")
            let part = try sequence()
            let isLast = take("$")
            guard next == nil || next == "|" else {
                throw failure(next == ")" ? "a \")\" without a \"(\"" : "an anchor in its midst")
            }
            alternatives.append("\(isFirst ? "" : "\(anything)* ")\(part)\(isLast ? "" : " \(anything)*")")
        } while take("|")
        return alternatives.joined(separator: " | ")
    }

    private mutating func alternatives() throws(GrammarError) -> String {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= 16 else { throw failure("more than 16 groups within each other") }
        var alternatives = [try sequence()]
        while take("|") { alternatives.append(try sequence()) }
        return alternatives.joined(separator: " | ")
    }

    private mutating func sequence() throws(GrammarError) -> String {
        var parts: [String] = []
        while let scalar = next, scalar != "|", scalar != ")", scalar != "$" {
            var part: String
            switch scalar {
            case "(":
                place += 1
                if take("?"), !take(":") { throw failure("a group that looks around or has a name") }
                part = "( \(try alternatives()) )"
                guard take(")") else { throw failure("a \"(\" without a \")\"") }
            case "[": part = try set()
            case ".":
                place += 1
                part = Self.text(Scalars(ranges: [0x20...0x10FFFF]).without([0x2028...0x2029, 0x7F...0x9F]))
            case "^": throw failure("an anchor in its midst")
            case "*", "+", "?", "{", "}", "]":
                throw failure("\"\(scalar)\" without something before it, or without \"\\\"")
            default: part = Self.text(try single())
            }
            part += try quantifier()
            parts.append(part)
        }
        return parts.isEmpty ? "\"\"" : parts.joined(separator: " ")
    }

    private mutating func quantifier() throws(GrammarError) -> String {
        var quantifier = ""
        switch next {
        case "*", "+", "?":
            quantifier = String(pattern[place])
            place += 1
        case "{":
            place += 1
            let least = try number()
            var most: Int? = least
            if take(",") { most = next == "}" ? nil : try number() }
            guard take("}") else { throw failure("\"{\" without a \"}\"") }
            guard most ?? least <= GrammarLimits.repetitionsMax, least <= most ?? least else {
                throw GrammarError(
                    "repeats something more than \(GrammarLimits.repetitionsMax) times, or less at most than at least")
            }
            quantifier = most == nil ? "{\(least),}" : "{\(least),\(most ?? least)}"
        default: return ""
        }
        // How eagerly something is looked for does not matter for whether it is found.
        if take("?") { return quantifier }
        if let next, "*+{".unicodeScalars.contains(next) { throw failure("two quantifiers in a row") }
        return quantifier
    }

    private mutating func number() throws(GrammarError) -> Int {
        var digits = ""
        while let scalar = next, ("0"..."9").contains(scalar), digits.utf8.count < 6 {
            digits.unicodeScalars.append(scalar)
            place += 1
        }
        guard let number = Int(digits) else { throw failure("\"{\" without a number") }
        return number
    }

    // MARK: Scalars

    /// Sorted ranges that do not touch.
    private struct Scalars {
        var ranges: [ClosedRange<UInt32>]

        func without(_ others: [ClosedRange<UInt32>]) -> Scalars {
            var result = ranges
            for other in others {
                result = result.flatMap { range -> [ClosedRange<UInt32>] in
                    guard range.overlaps(other) else { return [range] }
                    var parts: [ClosedRange<UInt32>] = []
                    if range.lowerBound < other.lowerBound { parts.append(range.lowerBound...other.lowerBound - 1) }
                    if range.upperBound > other.upperBound { parts.append(other.upperBound + 1...range.upperBound) }
                    return parts
                }
            }
            return Scalars(ranges: result)
        }
    }

    private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
    private static let word: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
    private static let blank: [ClosedRange<UInt32>] = [0x09...0x0D, 0x20...0x20]
    private static let printable: [ClosedRange<UInt32>] = [0x20...0x7E]

    /// An escape outside or inside of a set, or a scalar that stands for itself.
    private mutating func single() throws(GrammarError) -> Scalars {
        guard let scalar = next else { throw failure("nothing where something is expected") }
        place += 1
        guard scalar == "\\" else { return Scalars(ranges: [scalar.value...scalar.value]) }
        guard let escape = next else { throw failure("\"\\\" at its end") }
        place += 1
        switch escape {
        case "d": return Scalars(ranges: Self.digits)
        case "w": return Scalars(ranges: Self.word)
        case "s": return Scalars(ranges: Self.blank)
        case "D": return Scalars(ranges: Self.printable).without(Self.digits)
        case "W": return Scalars(ranges: Self.printable).without(Self.word)
        case "S": return Scalars(ranges: Self.printable).without(Self.blank)
        case "t": return Scalars(ranges: [9...9])
        case "n": return Scalars(ranges: [10...10])
        case "r": return Scalars(ranges: [13...13])
        case "f": return Scalars(ranges: [12...12])
        case "v": return Scalars(ranges: [11...11])
        case "x": return try hexadecimal(2)
        case "u": return try hexadecimal(4)
        case "a"..."z", "A"..."Z", "0"..."9": throw failure("\"\\\(escape)\"")
        default: return Scalars(ranges: [escape.value...escape.value])
        }
    }

    private mutating func hexadecimal(_ count: Int) throws(GrammarError) -> Scalars {
        let digits = pattern[place...].prefix(count)
        var text = String.UnicodeScalarView()
        text.append(contentsOf: digits)
        guard digits.count == count, digits.allSatisfy({ $0.properties.isASCIIHexDigit }),
            let value = UInt32(String(text), radix: 16), Unicode.Scalar(value) != nil
        else { throw failure("an escape that is no scalar") }
        place += count
        return Scalars(ranges: [value...value])
    }

    private mutating func set() throws(GrammarError) -> String {
        place += 1
        let isInverse = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while next != "]" {
            guard next != nil else { throw failure("\"[\" without a \"]\"") }
            let first = try single()
            guard next == "-", place + 1 < pattern.count, pattern[place + 1] != "]" else {
                ranges += first.ranges
                continue
            }
            place += 1
            let last = try single()
            guard let low = first.ranges.first, let high = last.ranges.first, first.ranges.count == 1,
                last.ranges.count == 1, low.count == 1, high.count == 1, low.lowerBound <= high.lowerBound
            else { throw failure("a range in a set that is none") }
            ranges.append(low.lowerBound...high.lowerBound)
        }
        place += 1
        let scalars = isInverse ? Scalars(ranges: Self.printable).without(ranges) : Scalars(ranges: ranges)
        guard !scalars.ranges.isEmpty else { throw failure("an empty set") }
        return Self.text(scalars)
    }

    /// One of these scalars, as a JSON string has it.
    private static func text(_ scalars: Scalars) -> String {
        // Control characters, the quotation mark and the backslash have escapes; halves of surrogate pairs are no scalars.
        let plain = scalars.without([0...0x1F, 0x22...0x22, 0x5C...0x5C, 0xD800...0xDFFF])
        var alternatives = plain.ranges.isEmpty ? [] : [GrammarWriter.set(plain.ranges)]
        let escapes: [(UInt32, String)] = [
            (0x22, "\\\""), (0x5C, "\\\\"), (8, "\\b"), (9, "\\t"), (10, "\\n"), (12, "\\f"), (13, "\\r"),
            (11, "\\u000b"),
        ]
        for (scalar, escape) in escapes where scalars.ranges.contains(where: { $0.contains(scalar) }) {
            alternatives.append(GrammarWriter.literal(escape))
        }
        return alternatives.count == 1 ? alternatives[0] : "( \(alternatives.joined(separator: " | ")) )"
    }
}
