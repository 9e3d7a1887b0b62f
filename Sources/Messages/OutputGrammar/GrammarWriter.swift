/// Writes a grammar rule by rule.
struct GrammarWriter {
    /// A rule that other grammars share, and those that it names.
    enum Shared: String {
        case blank, scalar, string, integer, number, value, object, array
    }

    private(set) var text = ""
    private var count = 0
    private var written: Set<Shared> = []

    /// A new name.
    mutating func name() -> String {
        count += 1
        return "r\(count)"
    }

    mutating func write(_ name: String, _ body: String) throws(GrammarError) {
        text += "\(name) ::= \(body)\n"
        guard text.utf8.count <= GrammarLimits.bytesMax else {
            throw GrammarError("makes a grammar of more than \(GrammarLimits.bytesMax) bytes; make it simpler")
        }
    }

    /// Writes a rule under a new name, which is returned.
    mutating func rule(_ body: String) throws(GrammarError) -> String {
        let name = name()
        try write(name, body)
        return name
    }

    /// The name of a shared rule, which is written where it is not yet.
    mutating func shared(_ rule: Shared) throws(GrammarError) -> String {
        guard written.insert(rule).inserted else { return rule.rawValue }
        let body: String
        switch rule {
        // As many as indentation needs, and never so many that nothing else comes.
        case .blank: body = #"( " " | "\n" " "{0,16} )?"#
        case .scalar:
            // A half of a surrogate pair is no scalar, and is not written as an escape.
            body =
                #"[ !#-[\]-~\u00A0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF] | "\\" ( ["\\/bfnrt] | "u" ( "#
                + "[0-9abcefABCEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2} ) )"
        case .string: body = #""\"" \#(try shared(.scalar))* "\"""#
        case .integer: body = #""-"? ( "0" | [1-9] [0-9]{0,14} )"#
        case .number: body = #""-"? ( "0" | [1-9] [0-9]{0,14} ) ( "." [0-9]{1,15} )? ( [eE] [-+]? [0-9]{1,2} )?"#
        case .value:
            let parts = try [Shared.object, .array, .string, .number].map { part throws(GrammarError) in
                try shared(part)
            }
            body = parts.joined(separator: " | ") + #" | "true" | "false" | "null""#
        case .object:
            let (blank, string) = (try shared(.blank), try shared(.string))
            let member = #"\#(string) ":" \#(blank) value \#(blank)"#
            body = #""{" \#(blank) ( \#(member) ( "," \#(blank) \#(member) )* )? "}""#
        case .array:
            let blank = try shared(.blank)
            body = #""[" \#(blank) ( value \#(blank) ( "," \#(blank) value \#(blank) )* )? "]""#
        }
        try write(rule.rawValue, body)
        if rule == .object || rule == .array { _ = try shared(.value) }
        return rule.rawValue
    }

    /// A literal of this text.
    static func literal(_ text: some StringProtocol) -> String {
        var literal = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": literal += "\\\(scalar)"
            case "\n": literal += "\\n"
            case ..<" ", "\u{7F}":
                let digits = String(scalar.value, radix: 16)
                literal += "\\x" + String(repeating: "0", count: 2 - digits.count) + digits
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }

    /// A set of these scalars; what stands between the brackets.
    static func inSet(_ scalar: UInt32) -> String {
        switch scalar {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: return String(Unicode.Scalar(UInt8(scalar)))
        default:
            let digits = String(scalar, radix: 16)
            return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
        }
    }

    static func set(_ ranges: [ClosedRange<UInt32>], isInverse: Bool = false) -> String {
        let parts = ranges.map { range in
            range.count == 1
                ? inSet(range.lowerBound) : "\(inSet(range.lowerBound))-\(inSet(range.upperBound))"
        }
        return "[\(isInverse ? "^" : "")\(parts.joined())]"
    }

    /// Writes the rule of a choice among texts: what several begin with stands once, so that few ways are open at a time.
    mutating func choice(among texts: some Collection<String>) throws(GrammarError) -> String {
        // Sorted by scalars, so that those with the same beginning are neighbours.
        var scalars = texts.map { Array($0.unicodeScalars) }
        scalars.sort { $0.lexicographicallyPrecedes($1) }
        return try branches(scalars[...], from: 0)
    }

    /// The rule of the rests of texts that are the same up to a place.
    private mutating func branches(
        _ texts: ArraySlice<[Unicode.Scalar]>, from place: Int
    ) throws(GrammarError) -> String {
        var alternatives: [String] = []
        var rest = texts
        while let first = rest.first {
            guard first.count > place else {
                alternatives.append("\"\"")
                rest = rest.drop { $0.count == place }
                continue
            }
            let group = rest.prefix { $0[place] == first[place] }
            rest = rest[group.endIndex...]
            let last = group[group.endIndex - 1]
            // In sorted texts the first and the last share what all share.
            var end = place + 1
            while end < first.count, end < last.count, first[end] == last[end] { end += 1 }
            var text = String.UnicodeScalarView()
            text.append(contentsOf: first[place..<end])
            let literal = Self.literal(String(text))
            let isWhole = group.allSatisfy { $0.count == end }
            alternatives.append(isWhole ? literal : "\(literal) \(try branches(group, from: end))")
        }
        return try rule(alternatives.joined(separator: " | "))
    }
}
