import LlamaPlanning
import Testing

@Suite("CacheTable")
struct CacheTableTests {
    private let alice: [UInt8] = [1]
    private let bob: [UInt8] = [2]

    /// Twenty tokens that all prompts share, as those of a template, and some of its own.
    private func prompt(_ own: Int32..., length: Int = 20) -> [Int32] { Array(0..<Int32(length)) + own }

    /// Takes a cache; -1 when none is free.
    private func take(
        _ table: inout CacheTable, _ prompt: [Int32], _ scope: [UInt8]
    ) -> (cache: Int, held: Int) {
        table.take(for: prompt, scope: scope).map { ($0.cache, $0.held) } ?? (-1, -1)
    }

    private func kept(_ scope: [UInt8], _ tokens: [Int32], prompt: Int? = nil) -> CacheTable.Kept {
        CacheTable.Kept(scope: scope, tokens: tokens, promptTokens: prompt ?? tokens.count)
    }

    @Test("the next turn of a conversation finds its beginning computed")
    func nextTurn() {
        var table = CacheTable(count: 4)
        let first = take(&table, prompt(50), alice)
        #expect(first.held == 0)
        table.giveBack(first.cache, holding: kept(alice, prompt(50) + [90, 91], prompt: 21))
        let second = take(&table, prompt(50) + [90, 91, 60, 61], alice)
        #expect(second == (first.cache, 23))
    }

    @Test("what one scope computed is never used for another, and without a scope nothing is kept")
    func scopes() {
        for (holder, asker) in [(alice, bob), (alice, []), ([], alice), ([], [])] as [([UInt8], [UInt8])] {
            // With one cache there is no other choice, and still nothing of it is used.
            var table = CacheTable(count: 1)
            let first = take(&table, prompt(50), holder)
            #expect(table.giveBack(first.cache, holding: kept(holder, prompt(50))) == !holder.isEmpty)
            let second = take(&table, prompt(50), asker)
            #expect(second.held == 0)
        }
        var table = CacheTable(count: 1)
        let first = take(&table, prompt(50), alice)
        table.giveBack(first.cache, holding: kept(alice, prompt(50)))
        #expect(take(&table, prompt(50), alice).held == 20, "and its own scope does find it")
    }

    @Test("a conversation keeps its cache while another is empty, whoever asks")
    func emptyFirst() {
        for asker in [alice, bob, []] {
            var table = CacheTable(count: 3)
            let first = take(&table, prompt(50), alice)
            table.giveBack(first.cache, holding: kept(alice, prompt(50)))
            // Another conversation that begins with the same template.
            let other = take(&table, prompt(70, 71), asker)
            #expect(other.cache != first.cache)
            #expect(other.held == 0)
            #expect(take(&table, prompt(50, 51), alice) == (first.cache, 21))
        }
    }

    @Test("with no cache empty, the one that was used longest ago is taken")
    func allHeld() {
        var table = CacheTable(count: 3)
        for own in 0..<3 as Range<Int32> {
            let taken = take(&table, prompt(50 + own), own == 1 ? bob : alice)
            #expect(taken.cache == Int(own), "empty ones are taken in their order")
        }
        // Freed in the order 2, 0, 1.
        table.giveBack(2, holding: kept(alice, prompt(52)))
        table.giveBack(0, holding: kept(alice, prompt(50)))
        table.giveBack(1, holding: kept(bob, prompt(51)))
        #expect(
            table.take(for: prompt(80, 81), scope: bob)
                == CacheTable.Taken(cache: 2, held: 0, source: .init(cache: 1, tokens: 20, isInUse: false)),
            "and what is shared in the scope comes from where it is")
        #expect(take(&table, prompt(82, 83), alice) == (0, 20), "nothing comes from elsewhere that it holds itself")
        #expect(take(&table, [900, 901], bob) == (1, 0))
        #expect(take(&table, [900, 901], bob) == (-1, -1))
    }

    @Test("a prompt finds the beginning that another of its scope has computed, or computes now")
    func sources() {
        var table = CacheTable(count: 5)
        #expect(table.take(for: prompt(50), scope: alice)?.source == nil)
        // Computed now.
        #expect(
            table.take(for: prompt(60), scope: alice)
                == CacheTable.Taken(cache: 1, held: 0, source: .init(cache: 0, tokens: 20, isInUse: true)))
        #expect(table.take(for: prompt(60), scope: bob)?.source == nil, "nobody finds what another computes")
        #expect(table.take(for: prompt(60), scope: [])?.source == nil)
        table.giveBack(3, holding: kept([], prompt(60)))
        #expect(table.take(for: prompt(60), scope: [])?.source == nil, "not even who has no scope either")
        // Computed already: better than what is still being computed.
        table.giveBack(0, holding: kept(alice, prompt(50)))
        #expect(
            table.take(for: prompt(70, 71), scope: alice)?.source == .init(cache: 0, tokens: 20, isInUse: false))
    }

    @Test("what idle caches hold can be had back, that of the longest ago first")
    func emptied() {
        var table = CacheTable(count: 3)
        for own in 0..<3 as Range<Int32> { _ = take(&table, prompt(50 + own), alice) }
        #expect(table.emptyOldest() == nil, "what is in use stays")
        table.giveBack(1, holding: kept(alice, prompt(51)))
        table.giveBack(0, holding: kept(bob, prompt(50)))
        #expect(table.emptyOldest() == 1)
        #expect(table.emptyOldest() == 0)
        #expect(table.emptyOldest() == nil)
        #expect(take(&table, prompt(50), bob) == (0, 0), "and is not found again")
    }

    @Test("a few tokens in common are not worth a cache, and the last token of a prompt is always computed")
    func fewTokens() {
        var table = CacheTable(count: 1)
        let first = take(&table, prompt(50, length: 10), alice)
        table.giveBack(first.cache, holding: kept(alice, prompt(50, length: 10)))
        #expect(take(&table, prompt(60, length: 10), alice) == (0, 0))
        table.giveBack(0, holding: kept(alice, prompt(50) + [90]))
        #expect(take(&table, prompt(50), alice) == (0, 20))
    }

    @Test("what was forgotten is not found, and its cache is empty")
    func forgotten() {
        var table = CacheTable(count: 1)
        let first = take(&table, prompt(50), alice)
        table.giveBack(first.cache, holding: kept(alice, prompt(50)))
        let second = take(&table, prompt(50), alice)
        table.giveBackEmpty(second.cache)
        #expect(take(&table, prompt(50), alice) == (0, 0))
    }
}
