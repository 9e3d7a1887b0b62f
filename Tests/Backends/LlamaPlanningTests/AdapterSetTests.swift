import LlamaPlanning
import Testing

@Suite("AdapterSet")
struct AdapterSetTests {
    private let table = AdapterTable([
        .init(name: "a", scale: 0.5, isDefault: false), .init(name: "b", scale: 2, isDefault: true),
        .init(name: "c", scale: 0, isDefault: true),
    ])

    @Test("a request without adapters has those that are default, an empty list none")
    func absent() throws {
        #expect(try table.set(for: nil) == AdapterSet([.init(adapter: 1, scale: 2)]))
        #expect(try table.set(for: []) == AdapterSet())
        #expect(try AdapterTable().set(for: nil) == AdapterSet())
    }

    @Test("the order of the names does not matter, and a scale of 0 is the model without the adapter")
    func chosen() throws {
        let set = try table.set(for: [("b", nil), ("a", 1)])
        #expect(set.members == [.init(adapter: 0, scale: 1), .init(adapter: 1, scale: 2)])
        #expect(try table.set(for: [("a", 1), ("b", 2)]) == set)
        #expect(try table.set(for: [("a", 0), ("c", nil)]) == AdapterSet())
    }

    @Test("an unknown name is refused with those that there are")
    func unknown() {
        #expect(throws: AdapterTable.Unknown(name: "d", known: ["a", "b", "c"])) {
            try table.set(for: [("a", nil), ("d", nil)])
        }
    }

    @Test("no two sets share a scope, and no scope stays none")
    func scopes() {
        let member = AdapterSet.Member(adapter: 3, scale: 1)
        let sets = [
            AdapterSet(), AdapterSet([member]), AdapterSet([.init(adapter: 3, scale: 1.5)]),
            AdapterSet([.init(adapter: 4, scale: 1)]), AdapterSet([member, .init(adapter: 4, scale: 1)]),
        ]
        // A scope that looks like the bytes of a set.
        let tricky = Array(AdapterSet([member]).scope(within: [7]).dropFirst())
        let scopes = sets.flatMap { [$0.scope(within: [7]), $0.scope(within: tricky)] }
        #expect(Set(scopes).count == scopes.count)
        #expect(sets.allSatisfy { $0.scope(within: []) == [] })
    }
}

@Suite("AdapterTurns")
struct AdapterTurnsTests {
    private let sets = (0..<3).map { AdapterSet([.init(adapter: $0, scale: 1)]) }

    @Test("one set alone goes on for ever, and none is nothing")
    func alone() {
        var turns = AdapterTurns()
        #expect(turns.next(among: []) == nil)
        for _ in 0..<5 {
            #expect(turns.next(among: [sets[0]]) == sets[0])
            turns.took(AdapterTurns.turnNanoseconds)
        }
        #expect(turns.next(among: []) == nil)
        #expect(turns.next(among: [AdapterSet()]) == AdapterSet())
    }

    @Test("a turn lasts for its time, and ends with its last sequence")
    func turn() {
        var turns = AdapterTurns()
        #expect(turns.next(among: [sets[0], sets[1]]) == sets[0])
        turns.took(AdapterTurns.turnNanoseconds - 1)
        #expect(turns.next(among: [sets[1], sets[0]]) == sets[0])
        turns.took(1)
        #expect(turns.next(among: [sets[0], sets[1]]) == sets[1])
        #expect(turns.next(among: [sets[0]]) == sets[0])
        turns.took(.max)
        turns.took(.max)
        #expect(turns.next(among: [sets[0], sets[2]]) == sets[2])
    }

    @Test("each has its turn before any has a second one, whoever comes meanwhile")
    func fairness() {
        var turns = AdapterTurns()
        var taken: [AdapterSet] = []
        for round in 0..<9 {
            // A set that comes and goes does not get ahead of those that wait.
            let all = round % 2 == 0 ? sets : sets + [AdapterSet()]
            guard let next = turns.next(among: all) else { continue }
            taken.append(next)
            turns.took(AdapterTurns.turnNanoseconds)
        }
        for set in sets { #expect(taken.filter { $0 == set }.count >= 2) }
        #expect(Array(taken.prefix(3)) == sets)
    }
}
