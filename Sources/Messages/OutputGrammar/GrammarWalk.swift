/// Follows a text through a grammar, scalar by scalar: all the ways in which the text can be read so far, each a stack of the
/// places where it goes on.
package struct GrammarWalk: Sendable {
    /// The ways that are followed at once; a text that can be read in more is not followed further.
    package static let waysMax = 4_096

    package let grammar: Grammar
    /// Each ends with the place of a scalar, or is empty where the text may end.
    package private(set) var ways: Set<[Int]>

    /// Before the first scalar. Nil where there are too many ways.
    package init?(_ grammar: Grammar) {
        self.grammar = grammar
        ways = []
        guard
            let ways = reached(from: grammar.alternatives(of: grammar.root).map { grammar.isOver(at: $0) ? [] : [$0] })
        else { return nil }
        self.ways = ways
    }

    /// Whether the text may end here.
    package var mayEnd: Bool { ways.contains([]) }

    /// Takes the next scalar; returns false where the grammar has none such here, or there are too many ways.
    package mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        var next: [[Int]] = []
        for way in ways {
            guard let place = way.last, case .scalar(let scalars) = grammar.elements[place],
                scalars.contains(scalar.value)
            else { continue }
            next.append(Self.replacing(way, by: grammar.isOver(at: place + 1) ? [] : [place + 1]))
        }
        guard let reached = reached(from: next) else { return false }
        ways = reached
        return !reached.isEmpty
    }

    /// Whether the whole text is one of the grammar's.
    package static func accepts(_ text: String, _ grammar: Grammar) -> Bool {
        guard var walk = GrammarWalk(grammar) else { return false }
        for scalar in text.unicodeScalars where !walk.take(scalar) { return false }
        return walk.mayEnd
    }

    private static func replacing(_ way: [Int], by places: [Int]) -> [Int] { way.dropLast() + places }

    /// Enters rules until each way is at a scalar, or over.
    private func reached(from begun: [[Int]]) -> Set<[Int]>? {
        var seen = Set(begun)
        var waiting = begun
        var reached: Set<[Int]> = []
        while let way = waiting.popLast() {
            guard let place = way.last, case .rule(let rule) = grammar.elements[place] else {
                reached.insert(way)
                continue
            }
            let after = Self.replacing(way, by: grammar.isOver(at: place + 1) ? [] : [place + 1])
            for alternative in grammar.alternatives(of: rule) {
                let next = grammar.isOver(at: alternative) ? after : after + [alternative]
                if seen.insert(next).inserted { waiting.append(next) }
            }
            guard seen.count <= Self.waysMax else { return nil }
        }
        return reached
    }
}
