/// Reads GBNF, and makes rules of groups and repetitions as llama.cpp does. What llama.cpp takes but means in another way than
/// it is written (a repetition beyond its limit, a rule that is defined twice) is refused.
struct GrammarParser {
    private(set) var rules: [[Grammar.Element]] = []
    /// The name of each rule; nil for those of groups and repetitions.
    private(set) var names: [String?] = []
    private let text: [UInt8]
    private var place = 0
    private var numbers: [ArraySlice<UInt8>: Int] = [:]
    /// Where each rule was named first.
    private var firstPlaces: [Int] = []
    private var elementCount = 0
    private var nesting = 0

    init(_ text: [UInt8]) { self.text = text }

    func number(of name: String) -> Int? { numbers[Array(name.utf8)[...]] }

    mutating func parse() throws(GrammarError) {
        guard text.count <= GrammarLimits.bytesMax else {
            throw GrammarError("has \(text.count) bytes; allowed: at most \(GrammarLimits.bytesMax)")
        }
        if let zero = text.firstIndex(of: 0) {
            place = zero
            throw failure("a byte 0 stands")
        }
        guard String(validating: text, as: UTF8.self) != nil else { throw GrammarError("is no UTF-8") }
        skipBlanks(lines: true)
        while place < text.count { try parseRule() }
        guard !rules.isEmpty else { throw GrammarError("is empty; give it a rule \"root\"") }
        for (number, rule) in rules.enumerated() where rule.isEmpty {
            place = firstPlaces[number]
            throw failure("the rule \"\((names[number] ?? "").prefix(64))\" is named, and is not defined")
        }
    }

    private func failure(_ what: String) -> GrammarError {
        let before = text[..<min(place, text.count)]
        let line = before.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = String(decoding: before[start...], as: UTF8.self).unicodeScalars.count + 1
        return GrammarError("line \(line), column \(column): \(what)")
    }

    // MARK: Bytes

    private var next: UInt8? { place < text.count ? text[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: scalar) else { return false }
        place += 1
        return true
    }

    private mutating func skipBlanks(lines: Bool) {
        while let byte = next {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): place += 1
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                guard lines else { return }
                place += 1
            case UInt8(ascii: "#"):
                while let byte = next, byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") { place += 1 }
            default: return
            }
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private mutating func name() throws(GrammarError) -> Int {
        let start = place
        while let byte = next, Self.isNameByte(byte) { place += 1 }
        guard place > start else {
            throw failure("a rule's name is expected: letters, digits and \"-\"")
        }
        if let number = numbers[text[start..<place]] { return number }
        let number = try addRule(String(decoding: text[start..<place], as: UTF8.self), at: start)
        numbers[text[start..<place]] = number
        return number
    }

    /// A whole number of at most 9 digits.
    private mutating func integer() throws(GrammarError) -> Int {
        let start = place
        var number = 0
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            place += 1
            if place - start > 9 { throw failure("the number is too large") }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        guard place > start else { throw failure("a whole number is expected") }
        return number
    }

    /// A scalar of a literal or a set, perhaps as an escape.
    private mutating func scalar() throws(GrammarError) -> UInt32 {
        guard let first = next else { throw failure("the text ends within a literal or a set") }
        guard first == UInt8(ascii: "\\") else {
            let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
            let bytes = text[place..<min(text.count, place + length)]
            place += length
            // The text is UTF-8.
            return String(decoding: bytes, as: UTF8.self).unicodeScalars.first?.value ?? 0
        }
        place += 1
        let escape = next
        place += 1
        switch escape {
        case UInt8(ascii: "x"): return try hexadecimal(digits: 2)
        case UInt8(ascii: "u"): return try hexadecimal(digits: 4)
        case UInt8(ascii: "U"): return try hexadecimal(digits: 8)
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "-"):
            return UInt32(escape ?? 0)
        default:
            place -= 2
            throw failure("an unknown escape; there are \\\\, \\\", \\[, \\], \\-, \\t, \\r, \\n, \\x, \\u and \\U")
        }
    }

    private mutating func hexadecimal(digits: Int) throws(GrammarError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let byte = next, let digit = Unicode.Scalar(byte).properties.isASCIIHexDigit ? byte : nil else {
                throw failure("\(digits) hexadecimal digits are expected")
            }
            let number =
                digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : (digit | 0x20) - UInt8(ascii: "a") + 10
            value = value << 4 | UInt32(number)
            place += 1
        }
        guard value <= 0x10FFFF else { throw failure("no scalar has so high a number") }
        return value
    }

    // MARK: Rules

    private mutating func addRule(_ name: String?, at place: Int) throws(GrammarError) -> Int {
        guard rules.count < GrammarLimits.rulesMax else {
            throw failure(
                "there are more than \(GrammarLimits.rulesMax) rules, those of groups and repetitions included")
        }
        rules.append([])
        names.append(name)
        firstPlaces.append(place)
        return rules.count - 1
    }

    private mutating func define(_ number: Int, _ rule: [Grammar.Element]) throws(GrammarError) {
        elementCount += rule.count
        guard elementCount <= GrammarLimits.elementsMax else {
            throw failure("there are more than \(GrammarLimits.elementsMax) elements, those of repetitions included")
        }
        rules[number] = rule
    }

    private mutating func parseRule() throws(GrammarError) {
        let start = place
        let number = try name()
        guard rules[number].isEmpty else {
            place = start
            throw failure("the rule \"\((names[number] ?? "").prefix(64))\" is defined twice")
        }
        skipBlanks(lines: false)
        guard take(":"), take(":"), take("=") else { throw failure("\"::=\" is expected behind a rule's name") }
        skipBlanks(lines: true)
        try define(number, try alternatives(isNested: false))
        switch next {
        case UInt8(ascii: "\n"), UInt8(ascii: "\r"), nil: break
        case UInt8(ascii: "<"), UInt8(ascii: "!"): throw failure("tokens cannot be named here; write their text")
        default: throw failure("the end of the line is expected, or another element")
        }
        skipBlanks(lines: true)
    }

    private mutating func alternatives(isNested: Bool) throws(GrammarError) -> [Grammar.Element] {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= GrammarLimits.nestingMax else {
            throw failure("parentheses are nested deeper than \(GrammarLimits.nestingMax)")
        }
        var rule: [Grammar.Element] = []
        try sequence(into: &rule, isNested: isNested)
        while take("|") {
            rule.append(.alternative)
            skipBlanks(lines: true)
            try sequence(into: &rule, isNested: isNested)
        }
        rule.append(.end)
        return rule
    }

    private mutating func sequence(into rule: inout [Grammar.Element], isNested: Bool) throws(GrammarError) {
        // Where the element begins that may be repeated; nil: there is none.
        var last: Int?
        // llama.cpp's measure of what is repeated.
        var weight = 1
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                place += 1
                last = rule.count
                weight = 1
                while next != UInt8(ascii: "\"") {
                    rule.append(.scalar(Grammar.Scalars(ranges: [single(try scalar())])))
                }
                place += 1
                if last == rule.count { last = nil }
            case UInt8(ascii: "["):
                last = rule.count
                weight = 1
                rule.append(.scalar(try set()))
            case UInt8(ascii: "."):
                place += 1
                last = rule.count
                weight = 1
                rule.append(.scalar(Grammar.Scalars(ranges: [], isInverse: true)))
            case UInt8(ascii: "("):
                place += 1
                skipBlanks(lines: true)
                let before = rules.count
                let number = try addRule(nil, at: place)
                try define(number, try alternatives(isNested: true))
                weight = rules.count - before
                guard take(")") else { throw failure("\")\" is expected") }
                last = rule.count
                rule.append(.rule(number))
            case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"):
                try repetition(of: &rule, from: last, weight: &weight)
            default:
                guard Self.isNameByte(byte) else { return }
                last = rule.count
                weight = 1
                rule.append(.rule(try name()))
            }
            guard rule.count <= GrammarLimits.elementsMax else {
                throw failure(
                    "there are more than \(GrammarLimits.elementsMax) elements, those of repetitions included")
            }
            skipBlanks(lines: isNested)
        }
    }

    private func single(_ scalar: UInt32) -> ClosedRange<UInt32> { scalar...scalar }

    private mutating func set() throws(GrammarError) -> Grammar.Scalars {
        let start = place
        place += 1
        var scalars = Grammar.Scalars(ranges: [])
        scalars.isInverse = take("^")
        while next != UInt8(ascii: "]") {
            let low = try scalar()
            var high = low
            if next == UInt8(ascii: "-"), place + 1 < text.count, text[place + 1] != UInt8(ascii: "]") {
                place += 1
                high = try scalar()
            }
            guard low <= high else {
                place = start
                throw failure("a range in this set ends before it begins")
            }
            scalars.ranges.append(low...high)
        }
        place += 1
        guard !scalars.ranges.isEmpty else {
            place = start
            throw failure("this set is empty")
        }
        return scalars
    }

    private mutating func repetition(
        of rule: inout [Grammar.Element], from last: Int?, weight: inout Int
    ) throws(GrammarError) {
        let start = place
        var least = 0
        var most: Int?
        switch next {
        case UInt8(ascii: "*"): place += 1
        case UInt8(ascii: "+"):
            place += 1
            least = 1
        case UInt8(ascii: "?"):
            place += 1
            most = 1
        default:
            place += 1
            skipBlanks(lines: true)
            least = try integer()
            skipBlanks(lines: true)
            most = least
            if take(",") {
                skipBlanks(lines: true)
                most = next == UInt8(ascii: "}") ? nil : try integer()
                skipBlanks(lines: true)
            }
            guard take("}") else { throw failure("\"}\" is expected") }
        }
        let behind = place
        place = start
        guard let last, last < rule.count else { throw failure("there is nothing before that could be repeated") }
        if let most, most < least { throw failure("a repetition has less at most than at least") }
        let count = most.map { $0 > 0 ? $0 : 1 } ?? max(least, 1)
        guard count <= GrammarLimits.repetitionsMax, weight * count <= GrammarLimits.repetitionsMax else {
            throw failure(
                "more than \(GrammarLimits.repetitionsMax) repetitions, or of a group so large that they are; llama.cpp takes no more"
            )
        }
        let repeated = Array(rule[last...])
        guard elementCount + rule.count + repeated.count * count <= GrammarLimits.elementsMax else {
            throw failure("there are more than \(GrammarLimits.elementsMax) elements, those of repetitions included")
        }
        place = behind
        if least == 0 { rule.removeSubrange(last...) }
        for _ in 1..<max(least, 1) { rule += repeated }
        weight *= count
        // S{m,n} is m times S, and then S' ::= S S'' | , and so on; S{m,} ends with S' ::= S S' | .
        let optional = most.map { $0 - least } ?? 1
        var inner: Int?
        for _ in 0..<optional {
            let number = try addRule(nil, at: place)
            var body = repeated
            if let next = most == nil ? number : inner { body.append(.rule(next)) }
            try define(number, body + [.alternative, .end])
            inner = number
        }
        if let inner { rule.append(.rule(inner)) }
    }
}
