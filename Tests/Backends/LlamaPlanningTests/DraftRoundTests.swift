import LlamaPlanning
import Testing

@Suite("DraftRound")
struct DraftRoundTests {
    private func member(_ sequence: Int, tokens: Int, held: Int, draftMax: Int = 3) -> DraftRound.Member {
        DraftRound.Member(sequence: sequence, tokens: tokens, held: held, draftMax: draftMax)
    }

    /// The positions of the next batch, by member; those that give a token are counted from 100 on.
    private func next(_ round: inout DraftRound, chance: Double = 0.9) -> [Range<Int>] {
        let shares = round.next()
        for share in shares {
            round.computed(share, guess: share.drafts ? (Int32(100 + share.positions.upperBound), chance) : nil)
        }
        return shares.map(\.positions)
    }

    @Test("what the draft model does not hold comes first, then one token after another, up to as many as are wanted")
    func one() {
        var round = DraftRound([member(7, tokens: 10, held: 8)], worth: 0.3, room: 16)
        #expect(next(&round) == [8..<10])
        #expect(next(&round) == [10..<11])
        #expect(next(&round) == [11..<12])
        #expect(next(&round) == [])
        #expect(round.members[0].draft == [110, 111, 112] && round.members[0].sequence == 7)
        #expect(round.members[0].held == 12, "the last drafted token is not computed")
        #expect(!round.members[0].isStuck)
    }

    @Test("it ends behind the first token that makes all of them too unlikely")
    func unlikely() {
        var round = DraftRound([member(0, tokens: 5, held: 4, draftMax: 12)], worth: 0.3, room: 16)
        for _ in 0..<20 { _ = next(&round, chance: 0.5) }
        // 0.5, 0.25
        #expect(round.members[0].draft.count == 2)
        var sure = DraftRound([member(0, tokens: 5, held: 4, draftMax: 12)], worth: 0.3, room: 16)
        for _ in 0..<20 { _ = next(&sure, chance: 1) }
        #expect(sure.members[0].draft.count == 12)
    }

    @Test("several are computed together, each until it has enough")
    func several() {
        var round = DraftRound(
            [member(0, tokens: 5, held: 4, draftMax: 1), member(1, tokens: 9, held: 6, draftMax: 2)], worth: 0.3,
            room: 16)
        #expect(next(&round) == [4..<5, 6..<9])
        #expect(next(&round) == [9..<10])
        #expect(next(&round) == [])
        #expect(round.members.map(\.draft.count) == [1, 2])
    }

    @Test("a long sequence is caught up with in rounds, after the short ones, and nothing is drafted for it before")
    func catchUp() {
        var held = 0
        for expected in [0..<15, 15..<30, 30..<45] {
            var round = DraftRound(
                [member(0, tokens: 50, held: held), member(1, tokens: 9, held: 8)], worth: 0.3, room: 16)
            #expect(next(&round) == [expected, 8..<9])
            #expect(next(&round) == [9..<10], "no more of it in the same round")
            _ = next(&round)
            #expect(next(&round) == [])
            #expect(round.members[0].draft.isEmpty && round.members[1].draft.count == 3)
            #expect(!round.members[0].isStuck)
            held = round.members[0].held
        }
        var round = DraftRound([member(0, tokens: 50, held: held)], worth: 0.3, room: 16)
        #expect(next(&round) == [45..<50])
        #expect(round.members[0].draft == [150])
        var full = DraftRound([member(0, tokens: 50, held: 0), member(1, tokens: 20, held: 0)], worth: 0.3, room: 16)
        #expect(next(&full) == [0..<16], "there is room for the shorter one alone")
        #expect(full.members[1].held == 16 && next(&full) == [])
    }

    @Test("where the draft model finds no token, or has no cells, what was drafted stays, and it is said")
    func stuck() throws {
        var round = DraftRound([member(0, tokens: 5, held: 4)], worth: 0.3, room: 16)
        _ = next(&round)
        let share = try #require(round.next().first)
        round.computed(share, guess: nil)
        #expect(round.members[0].draft == [105] && round.members[0].isStuck && round.next() == [])
        var lacking = DraftRound([member(0, tokens: 5, held: 4), member(1, tokens: 50, held: 0)], worth: 0.3, room: 16)
        _ = next(&lacking)
        lacking.lackCells()
        #expect(lacking.next() == [] && lacking.members.map(\.isStuck) == [true, true])
        #expect(lacking.members.map(\.draft.count) == [1, 0])
    }
}

@Suite("DraftCaches")
struct DraftCachesTests {
    @Test("what the model gives up the draft model forgets, as far as it holds it")
    func keep() {
        var caches = DraftCaches(count: 2)
        caches.computed(0, upTo: 10)
        let holdsLess = caches.keep(0, first: 12)
        #expect(!holdsLess && caches[0] == 10)
        let holdsMore = caches.keep(0, first: 7)
        #expect(holdsMore && caches[0] == 7 && caches[1] == 0)
        let again = caches.keep(0, first: 7)
        #expect(!again)
    }

    @Test("a copy has as many tokens as the draft model holds of them, and replaces what was there")
    func copy() {
        var caches = DraftCaches(count: 3)
        caches.computed(0, upTo: 10)
        caches.computed(1, upTo: 4)
        let part = caches.copy(0, to: 2, tokens: 6)
        let all = caches.copy(1, to: 2, tokens: 6)
        #expect(part == 6 && all == 4 && caches[2] == 4)
        caches.computed(1, upTo: 0)
        let none = caches.copy(1, to: 2, tokens: 6)
        #expect(none == 0 && caches[2] == 0 && caches[0] == 10)
    }

    @Test("caches that are not drafted for give way")
    func emptyOthers() {
        var caches = DraftCaches(count: 4)
        for cache in [0, 1, 3] { caches.computed(cache, upTo: 5) }
        let emptied = caches.emptyOthers(than: [1])
        #expect(emptied == [0, 3] && (0..<4).map { caches[$0] } == [0, 5, 0, 0])
        let more = caches.emptyOthers(than: [1])
        #expect(more == [])
    }

    @Test("a cache that is not there holds nothing")
    func outside() {
        var caches = DraftCaches(count: 1)
        caches.computed(1, upTo: 5)
        let copied = caches.copy(0, to: 7, tokens: 3)
        #expect(caches[1] == 0 && caches[-1] == 0 && copied == 0)
    }
}

@Suite("CatchUpPace")
struct CatchUpPaceTests {
    @Test("as many tokens at once as take as long as a step, within bounds")
    func room() {
        var pace = CatchUpPace()
        #expect(pace.room(stepNanoseconds: 1e9) == CatchUpPace.tokensMin, "nothing was measured")
        pace.took(100_000_000, tokens: 100)
        #expect(pace.room(stepNanoseconds: 200e6) == 200)
        #expect(pace.room(stepNanoseconds: 1e6) == 20, "a short step is no reason to compute few")
        #expect(pace.room(stepNanoseconds: 60e9) == CatchUpPace.tokensMax)
        pace.took(60_000_000_000, tokens: 20)
        #expect(pace.room(stepNanoseconds: 200e6) == CatchUpPace.tokensMin)
    }

    @Test("few tokens say nothing about many, and a measurement is no more than half of the next one")
    func measured() {
        var pace = CatchUpPace()
        pace.took(1_000_000, tokens: CatchUpPace.tokensMin - 1)
        #expect(pace.nanoseconds(tokens: 1_000) == 0)
        pace.took(1_600, tokens: 16)
        #expect(pace.nanoseconds(tokens: 10) == 1_000 && pace.nanoseconds(tokens: -1) == 0)
        pace.took(4_800, tokens: 16)
        #expect(pace.nanoseconds(tokens: 10) == 2_000)
        pace.took(0, tokens: 16)
        #expect(pace.room(stepNanoseconds: 1e9) == CatchUpPace.tokensMax)
    }

    @Test("a long prompt is not computed for a short answer")
    func pays() {
        var pace = CatchUpPace()
        #expect(pace.pays(backlog: 10_000, left: 1, stepNanoseconds: 1e6), "nothing was measured")
        pace.took(16_000_000, tokens: 16)
        #expect(pace.pays(backlog: 1_000, left: 100, stepNanoseconds: 20e6))
        #expect(!pace.pays(backlog: 1_000, left: 99, stepNanoseconds: 20e6))
        #expect(pace.pays(backlog: 2, left: 1, stepNanoseconds: 20e6))
    }
}
