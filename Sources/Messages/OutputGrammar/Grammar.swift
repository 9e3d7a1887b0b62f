/// A grammar in GBNF, the language of llama.cpp's grammars, as rules of elements: repetitions are rules of their own, made as
/// llama.cpp makes them, so that what is counted here is what a backend keeps.
///
/// Every rule that is named exists, none begins with itself, the first is called "root" and has a text of finite length, and
/// the sizes are within `GrammarLimits`.
package struct Grammar: Equatable, Sendable {
    package enum Element: Equatable, Sendable {
        /// Begins the elements of another alternative.
        case alternative
        /// A rule, by its number.
        case rule(Int)
        /// One scalar, in or outside of a set.
        case scalar(Scalars)
        case end
    }

    /// A set of scalars.
    package struct Scalars: Equatable, Sendable {
        package var ranges: [ClosedRange<UInt32>]
        package var isInverse = false

        package func contains(_ scalar: UInt32) -> Bool {
            ranges.contains { $0.contains(scalar) } != isInverse
        }
    }

    /// The elements of all rules, each behind those of the one before and closed by `.end`.
    package let elements: [Element]
    /// Where each rule begins.
    package let starts: [Int]
    /// The rule that a text begins with.
    package let root: Int
    /// Each rule has an alternative of rules of lower ranks only, by which its text comes to an end; nil for one whose text
    /// never does.
    package let ranks: [Int?]

    /// Reads a grammar; throws where it is wrong, or larger than may be.
    package init(_ text: some Sequence<UInt8>) throws(GrammarError) {
        var parser = GrammarParser(Array(text))
        try parser.parse()
        guard let root = parser.number(of: "root") else {
            throw GrammarError("has no rule \"root\", which a text begins with; name one so")
        }
        elements = parser.rules.flatMap { $0 }
        var start = 0
        starts = parser.rules.map { rule in
            defer { start += rule.count }
            return start
        }
        self.root = root
        ranks = GrammarChecks.ranks(parser.rules)
        let emptiable = GrammarChecks.ranks(parser.rules, emptyOnly: true).map { $0 != nil }
        try GrammarChecks(parser.rules, isEmptiable: emptiable).check(names: parser.names)
        guard ranks[root] != nil else {
            throw GrammarError(
                "has no text that ever ends: its rules go on without end; give one an alternative that ends")
        }
    }

    /// Where the alternatives of a rule begin.
    package func alternatives(of rule: Int) -> [Int] {
        var places = [starts[rule]]
        var place = starts[rule]
        while elements[place] != .end {
            if elements[place] == .alternative { places.append(place + 1) }
            place += 1
        }
        return places
    }

    /// Whether no element follows in the alternative.
    package func isOver(at place: Int) -> Bool { elements[place] == .end || elements[place] == .alternative }
}

/// Why a grammar is refused; goes on after the name of the field.
package struct GrammarError: Error, Equatable, Sendable {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// The bounds of a grammar.
package enum GrammarLimits {
    /// A grammar as a consumer sends it, or as it is made of another format.
    package static let bytesMax = 256 << 10
    /// llama.cpp makes nothing of more repetitions, or of more rules that are repeated so often.
    package static let repetitionsMax = 2_000
    /// Rules, those of groups and repetitions included.
    package static let rulesMax = 16_384
    /// Elements of all rules.
    package static let elementsMax = 65_536
    /// Parentheses within each other.
    package static let nestingMax = 64
    /// The ways in which a rule can begin: a backend looks at each of them at every step.
    package static let beginningsMax = 4_096
}

/// What of a grammar can only be said of all its rules together.
struct GrammarChecks {
    private let rules: [[Grammar.Element]]
    private let isEmptiable: [Bool]

    init(_ rules: [[Grammar.Element]], isEmptiable: [Bool]) {
        self.rules = rules
        self.isEmptiable = isEmptiable
    }

    /// In which order the rules were found to have a text of finite length, each by an alternative of rules that were found
    /// before; nil for those that have none. `emptyOnly`: the same of the empty text.
    static func ranks(_ rules: [[Grammar.Element]], emptyOnly: Bool = false) -> [Int?] {
        var ranks: [Int?] = Array(repeating: nil, count: rules.count)
        var owners: [Int] = []
        // Of each alternative how much of it is not known to have such a text.
        var missing: [Int] = []
        var users: [[Int]] = Array(repeating: [], count: rules.count)
        for (number, rule) in rules.enumerated() {
            owners.append(number)
            missing.append(0)
            for element in rule {
                switch element {
                case .alternative:
                    owners.append(number)
                    missing.append(0)
                case .scalar where emptyOnly: missing[missing.count - 1] += 1
                case .rule(let other):
                    missing[missing.count - 1] += 1
                    users[other].append(missing.count - 1)
                case .scalar, .end: break
                }
            }
        }
        var found: [Int] = []
        func find(_ alternative: Int) {
            let owner = owners[alternative]
            guard missing[alternative] == 0, ranks[owner] == nil else { return }
            ranks[owner] = found.count
            found.append(owner)
        }
        for alternative in owners.indices { find(alternative) }
        var place = 0
        while place < found.count {
            for alternative in users[found[place]] {
                missing[alternative] -= 1
                find(alternative)
            }
            place += 1
        }
        return ranks
    }

    private enum Beginnings {
        case unknown, asked
        case known(count: Int, depth: Int)
    }

    /// Throws where a rule begins with itself, or in too many ways.
    func check(names: [String?]) throws(GrammarError) {
        var known = Array(repeating: Beginnings.unknown, count: rules.count)
        for number in rules.indices {
            // A stack of rules whose beginnings are asked for, with the place that is looked at.
            var asked: [(rule: Int, place: Int, isAtBeginning: Bool, count: Int, depth: Int)] = []
            func enter(_ rule: Int) {
                known[rule] = .asked
                asked.append((rule, 0, true, 0, 1))
            }
            if case .unknown = known[number] { enter(number) }
            while var top = asked.popLast() {
                var entered: Int?
                while top.place < rules[top.rule].count {
                    let element = rules[top.rule][top.place]
                    switch element {
                    case .alternative: top.isAtBeginning = true
                    case .end: break
                    case .scalar:
                        if top.isAtBeginning { top.count += 1 }
                        top.isAtBeginning = false
                    case .rule(let other) where top.isAtBeginning:
                        switch known[other] {
                        case .unknown: entered = other
                        case .asked:
                            throw GrammarError(
                                "has a rule that begins with itself\(named(other, names)); put something before it")
                        case .known(let count, let depth):
                            top.count += count + 1
                            top.depth = max(top.depth, depth + 1)
                            top.isAtBeginning = isEmptiable[other]
                        }
                    case .rule: break
                    }
                    if entered != nil { break }
                    top.place += 1
                }
                guard top.count <= GrammarLimits.beginningsMax, top.depth <= GrammarLimits.beginningsMax else {
                    throw GrammarError(
                        "has a rule that can begin in more than \(GrammarLimits.beginningsMax) ways\(named(top.rule, names)); "
                            + "make it simpler")
                }
                if let entered {
                    asked.append(top)
                    enter(entered)
                } else {
                    known[top.rule] = .known(count: top.count, depth: top.depth)
                }
            }
        }
    }

    private func named(_ rule: Int, _ names: [String?]) -> String {
        names[rule].map { " (\"\($0.prefix(64))\")" } ?? ""
    }
}
