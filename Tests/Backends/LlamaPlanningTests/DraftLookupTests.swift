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
    @Test("drafts grow while all is accepted, and shrink to what was")
    func growth() {
        var length = DraftLength()
        var drafted = length.tokens(beside: 1)
        #expect(drafted > 0)
        for _ in 0..<6 {
            length.took(drafted: drafted, accepted: drafted)
            #expect(length.tokens(beside: 1) >= drafted)
            drafted = length.tokens(beside: 1)
        }
        #expect(drafted == DraftLength.tokensMax)
        length.took(drafted: drafted, accepted: 2)
        #expect(length.tokens(beside: 1) == 2)
        length.took(drafted: 1, accepted: 1)
        #expect(length.tokens(beside: 1) == 2, "one that was as short as the text allowed says nothing of longer ones")
    }

    @Test("what is refused again and again pauses, longer each time, and is tried again")
    func pauses() {
        var length = DraftLength()
        var pauses: [Int] = []
        for _ in 0..<10 {
            length.took(drafted: length.tokens(beside: 1), accepted: 0)
            var pause = 0
            while length.tokens(beside: 1) == 0 {
                length.took(drafted: 0, accepted: 0)
                pause += 1
            }
            pauses.append(pause)
        }
        #expect(pauses[0] == 0 && pauses[1] > 0)
        #expect(pauses == pauses.sorted() && pauses.last == DraftLength.pauseMax)
        #expect(length.tokens(beside: 1) == 1)
        length.took(drafted: 1, accepted: 1)
        length.took(drafted: 1, accepted: 0)
        #expect(length.tokens(beside: 1) == 1, "a success ends the row of refusals")
    }

    @Test("few sequences share the drafts of a step, and many have none")
    func company() {
        var length = DraftLength()
        for _ in 0..<6 { length.took(drafted: length.tokens(beside: 1), accepted: length.tokens(beside: 1)) }
        for count in 1...DraftLength.sequencesMax {
            #expect((1...DraftLength.tokensMax).contains(length.tokens(beside: count) * count))
        }
        #expect(length.tokens(beside: DraftLength.sequencesMax + 1) == 0 && length.tokens(beside: 0) == 0)
    }
}
