import BackendKit
import EchoTokens
import OutputGrammar

/// Echo's text of a form: one that the grammar allows, the same for the same prompt, seed and grammar.
struct EchoForm {
    /// So many choices are made as the prompt and the seed say; after them everything ends as soon as it can.
    private static let choicesMax = 64
    private static let scalarsMax = 65_536
    /// The scalars of a token.
    private static let tokenScalars = 3

    private let grammar: Grammar
    private let tokens: EchoTokens
    private var choices = 0
    private var text: [Unicode.Scalar] = []

    /// The texts of the tokens that follow `given`.
    static func words(
        _ grammar: String, after given: String, _ tokens: EchoTokens
    ) throws(EngineFault) -> [[UInt8]] {
        var form: EchoForm
        do throws(GrammarError) {
            form = EchoForm(grammar: try Grammar(grammar.utf8), tokens: tokens)
        } catch {
            throw EngineFault(.invalidArgument, "format.grammar \(error.description)")
        }
        try form.write(after: given)
        return stride(from: 0, to: form.text.count, by: tokenScalars).map { start in
            var word = String.UnicodeScalarView()
            word.append(contentsOf: form.text[start..<min(start + tokenScalars, form.text.count)])
            return Array(String(word).utf8)
        }
    }

    private init(grammar: Grammar, tokens: EchoTokens) {
        self.grammar = grammar
        self.tokens = tokens
    }

    private mutating func write(after given: String) throws(EngineFault) {
        guard var walk = GrammarWalk(grammar) else {
            throw EngineFault(.invalidArgument, "format can begin in too many ways; make it less ambiguous")
        }
        for scalar in given.unicodeScalars where !walk.take(scalar) {
            throw EngineFault(
                .invalidArgument,
                "the last message, which is to be continued, does not begin as format wants it; leave it out, or change it"
            )
        }
        let ways = walk.ways.sorted { $0.lexicographicallyPrecedes($1) }
        try write(from: ways[choose(among: ways.count)])
    }

    /// Writes on from the places of a way, the last one first.
    private mutating func write(from way: [Int]) throws(EngineFault) {
        var places = way
        while let place = places.popLast() {
            if !grammar.isOver(at: place + 1) { places.append(place + 1) }
            switch grammar.elements[place] {
            case .scalar(let scalars):
                guard text.count < Self.scalarsMax, let scalar = scalar(of: scalars) else {
                    throw EngineFault(
                        .invalidArgument,
                        "echo writes no text of format: it has more than \(Self.scalarsMax) characters, or an empty set"
                    )
                }
                text.append(scalar)
            case .rule(let rule):
                let alternative = alternative(of: rule)
                if !grammar.isOver(at: alternative) { places.append(alternative) }
            case .alternative, .end: continue
            }
        }
    }

    private mutating func choose(among count: Int) -> Int {
        choices += 1
        return Int(tokens.id(at: UInt64(choices))) % max(count, 1)
    }

    private mutating func alternative(of rule: Int) -> Int {
        let alternatives = grammar.alternatives(of: rule)
        let isFree = choices < Self.choicesMax
        let ending = alternatives.filter { alternative in
            ranks(of: alternative).allSatisfy { rank in
                guard let rank, let own = grammar.ranks[rule] else { return false }
                return isFree || rank < own
            }
        }
        return ending.isEmpty ? alternatives[0] : ending[isFree ? choose(among: ending.count) : 0]
    }

    /// The ranks of the rules that an alternative names.
    private func ranks(of alternative: Int) -> [Int?] {
        var ranks: [Int?] = []
        var place = alternative
        while !grammar.isOver(at: place) {
            if case .rule(let rule) = grammar.elements[place] { ranks.append(grammar.ranks[rule]) }
            place += 1
        }
        return ranks
    }

    /// One of a set, a printable one of ASCII where there is such.
    private mutating func scalar(of scalars: Grammar.Scalars) -> Unicode.Scalar? {
        if !scalars.isInverse, let only = scalars.ranges.first, scalars.ranges.count == 1, only.count == 1 {
            return Unicode.Scalar(only.lowerBound)
        }
        let printable = (0x20...0x7E as ClosedRange<UInt32>).filter { scalars.contains($0) }
        if !printable.isEmpty { return Unicode.Scalar(printable[choose(among: printable.count)]) }
        for range in scalars.ranges where !scalars.isInverse {
            if let scalar = range.lazy.compactMap({ Unicode.Scalar($0) }).first { return scalar }
        }
        return (0...0x10FFFF as ClosedRange<UInt32>).lazy.filter { scalars.contains($0) }.compactMap {
            Unicode.Scalar($0)
        }.first
    }
}
