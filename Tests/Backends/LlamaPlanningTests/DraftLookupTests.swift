import LlamaPlanning
import Testing

@Suite("DraftLookup")
struct DraftLookupTests {
    private func draft(_ tokens: [Int32], _ count: Int = 4) -> [Int32] {
        Array(DraftLookup.draft(after: tokens, count: count))
    }

    @Test("what followed the last tokens before is drafted")
    func followed() {
        #expect(draft([1, 2, 3, 4, 5, 6, 9, 2, 3]) == [4, 5, 6, 9])
        #expect(draft([1, 2, 3, 4, 5, 6, 9, 2, 3], 2) == [4, 5])
        #expect(draft([1, 2, 3, 4, 9, 2, 3], 8) == [4, 9, 2, 3], "no further than the end")
        #expect(draft([7, 7, 7, 7]) == [7], "a run repeats itself")
    }

    @Test("the longest match counts, and of those as long the latest")
    func best() {
        #expect(draft([1, 2, 3, 8, 0, 2, 3, 9, 1, 2, 3], 1) == [8])
        #expect(draft([2, 3, 8, 0, 2, 3, 9, 1, 2, 3], 1) == [9])
    }

    @Test("a match of one token says nothing, and neither do none")
    func short() {
        #expect(draft([1, 2, 3, 2]) == [])
        #expect(draft([]) == [] && draft([1]) == [] && draft([1, 2]) == [])
        #expect(draft([1, 2, 3, 1, 2], 0) == [] && draft([1, 2, 3, 1, 2], -1) == [])
    }

    @Test("a long sequence is searched from its end")
    func bound() {
        let far = [1, 2, 3] + Array(repeating: Int32(0), count: DraftLookup.searchedTokensMax) + [1, 2]
        #expect(draft(far) == [])
        #expect(draft(Array(far.dropFirst(0).prefix(3)) + [5] + far.suffix(2)) == [3, 5, 1, 2])
    }
}

@Suite("DraftLength")
struct DraftLengthTests {
    @Test("drafts grow while all is accepted, and shrink when they are refused")
    func growth() {
        var length = DraftLength()
        var drafted = length.tokens(worth: 0.3)
        #expect((1..<DraftLength.tokensMax).contains(drafted))
        for _ in 0..<6 {
            length.took(drafted: drafted, accepted: drafted)
            #expect(length.tokens(worth: 0.3) >= drafted)
            drafted = length.tokens(worth: 0.3)
        }
        #expect(drafted == DraftLength.tokensMax)
        #expect(length.tokens(worth: 0.9) < drafted, "what costs more has to be likelier")
        for _ in 0..<4 { length.took(drafted: drafted, accepted: 0) }
        #expect((1..<drafted).contains(length.tokens(worth: 0.3)))
    }

    @Test("what is refused again and again pauses, longer each time, and is tried again with one token")
    func pauses() {
        var length = DraftLength()
        var pauses: [Int] = []
        for _ in 0..<20 {
            length.took(drafted: length.tokens(worth: 0.5), accepted: 0)
            var pause = 0
            while length.tokens(worth: 0.5) == 0 {
                length.took(drafted: 0, accepted: 0)
                pause += 1
            }
            pauses.append(pause)
        }
        #expect(pauses.first == 0 && pauses == pauses.sorted() && pauses.last == DraftLength.pauseMax)
        #expect(length.tokens(worth: 0.5) == 1)
        // It becomes worth it again.
        var drafted = 1
        for _ in 0..<10 * DraftLength.pauseMax where drafted < 2 {
            drafted = length.tokens(worth: 0.5)
            length.took(drafted: drafted, accepted: drafted)
        }
        #expect(drafted >= 2)
    }

    @Test("where nothing is worth it, a success too is followed by a pause")
    func costly() {
        var length = DraftLength()
        #expect(length.tokens(worth: 0.95) == 1)
        length.took(drafted: 1, accepted: 1)
        #expect(length.tokens(worth: 0.95) == 0)
    }
}

@Suite("DraftCost")
struct DraftCostTests {
    private func measured(plain: UInt64, sequences: Int = 1) -> DraftCost {
        var cost = DraftCost()
        for _ in 0..<DraftCost.plainStepsFirst { cost.took(plain, sequences: sequences, drafted: 0) }
        return cost
    }

    @Test("nothing is drafted before a step without drafts was measured, nor for many sequences")
    func unknown() {
        #expect(DraftCost().chance(sequences: 1) == nil)
        let cost = measured(plain: 1_000)
        #expect(cost.chance(sequences: 1) != nil && cost.chance(sequences: 2) == nil)
        let many = measured(plain: 1_000, sequences: DraftCost.sequencesMax + 1)
        #expect(many.chance(sequences: DraftCost.sequencesMax + 1) == nil)
        #expect(many.chance(sequences: 0) == nil)
    }

    @Test("the chance that is needed is the part of a step that a drafted token costs")
    func chance() throws {
        for (added, sequences, expected) in [
            (100, 1, 0.1), (500, 1, 0.5), (100, 2, 0.2), (5_000, 1, 0.95), (0, 1, 0.05),
        ]
            as [(UInt64, Int, Double)]
        {
            var cost = measured(plain: 1_000, sequences: sequences)
            for _ in 0..<60 { cost.took(1_000 + 4 * added, sequences: sequences, drafted: 4) }
            let chance = try #require(cost.chance(sequences: sequences))
            #expect(abs(chance - expected) < 0.01)
        }
    }

    @Test("steps without drafts come again, so that a machine that has become slower is noticed")
    func current() {
        var cost = measured(plain: 1_000)
        var plain = 0
        for _ in 0..<10 * DraftCost.plainInterval {
            let drafts = cost.chance(sequences: 1) != nil
            plain += drafts ? 0 : 1
            cost.took(drafts ? 4_000 : 2_000, sequences: 1, drafted: drafts ? 4 : 0)
        }
        #expect(plain == 10)
        let chance = cost.chance(sequences: 1) ?? 0
        #expect(chance > 0.2 && chance < 0.4)
    }
}
