import ConsumerAccess
import SeededRandom
import Testing

struct TokenBudgetTests {
    @Test func `what is left of a minute can be taken, and no more`() {
        var budget = TokenBudget(perMinute: 10)
        let first = budget.take(upTo: 4, at: 100)
        let second = budget.take(upTo: 20, at: 130)
        let third = budget.take(upTo: 1, at: 159)
        #expect([first, second, third] == [4, 6, 0])
    }

    @Test func `what was taken is free again after more than a minute, each second's on its own`() {
        var budget = TokenBudget(perMinute: 10)
        _ = budget.take(upTo: 4, at: 100)
        _ = budget.take(upTo: 6, at: 130)
        let early = budget.available(at: 160)
        let later = budget.available(at: 161)
        let last = budget.available(at: 191)
        #expect([early, later, last] == [0, 4, 10])
    }

    @Test func `the time to wait is exact`() {
        var budget = TokenBudget(perMinute: 3)
        _ = budget.take(upTo: 1, at: 10)
        _ = budget.take(upTo: 2, at: 20)
        let wait = budget.secondsUntilAvailable(at: 25)
        #expect(wait == 46)
        let before = budget.available(at: 25 + wait - 1)
        let after = budget.available(at: 25 + wait)
        #expect(before == 0 && after == 1)
        let free = budget.secondsUntilAvailable(at: 71)
        #expect(free == 0)
    }

    @Test func `what is given back is there again, the latest first`() {
        var budget = TokenBudget(perMinute: 10)
        _ = budget.take(upTo: 5, at: 50)
        _ = budget.take(upTo: 5, at: 60)
        budget.giveBack(6, at: 61)
        let left = budget.available(at: 61)
        // All five of second 60 and one of second 50 were given back.
        let afterFirst = budget.available(at: 111)
        #expect(left == 6 && afterFirst == 10)
        budget.giveBack(.max, at: 200)
        let all = budget.available(at: 200)
        #expect(all == 10)
    }

    @Test func `a charge above the limit is a debt that is waited for`() {
        var budget = TokenBudget(perMinute: 10)
        budget.charge(1000, at: 0)
        budget.charge(.max, at: 1)
        let wait = budget.secondsUntilAvailable(at: 1)
        let none = budget.available(at: 60)
        let all = budget.available(at: 62)
        #expect(none == 0 && wait == 61 && all == 10)
    }

    @Test func `a lower limit counts what was already taken`() {
        var budget = TokenBudget(perMinute: 10)
        _ = budget.take(upTo: 8, at: 5)
        budget.perMinute = 5
        let now = budget.available(at: 6)
        budget.perMinute = 20
        let more = budget.available(at: 6)
        #expect(now == 0 && more == 12)
    }

    @Test(arguments: 0..<20) func `whatever is asked for, no minute has more than its limit`(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var budget = TokenBudget(perMinute: 100)
        var taken: [(second: UInt64, count: UInt64)] = []
        var second: UInt64 = random.next() % 1000
        for _ in 0..<2000 {
            second += random.next() % 4
            taken.append((second, UInt64(budget.take(upTo: UInt32(random.next() % 50), at: second))))
        }
        for (index, last) in taken.enumerated() {
            let sum = taken[...index].reversed().prefix { last.second - $0.second <= 60 }.reduce(0) { $0 + $1.count }
            #expect(sum <= 100)
        }
        #expect(taken.contains { $0.count > 0 })
    }
}
