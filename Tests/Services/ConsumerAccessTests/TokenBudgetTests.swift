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

    @Test func `what one budget has used counts in another one, and ends to count at the same second`() {
        var old = TokenBudget(perMinute: 10)
        _ = old.take(upTo: 4, at: 100)
        _ = old.take(upTo: 5, at: 130)
        let used = old.used(at: 132)
        #expect(used == [0, 0, 5] + Array(repeating: 0, count: 29) + [4])
        var new = TokenBudget(perMinute: 10)
        _ = new.take(upTo: 1, at: 134)
        new.add(used: used, upTo: 132, at: 135)
        let left = [135, 160, 161, 190, 191, 194, 195].map { new.available(at: $0) }
        #expect(left == [0, 0, 4, 4, 9, 9, 10])
    }

    @Test func `of what was used nothing is told that counts no more`() {
        var budget = TokenBudget(perMinute: 10)
        let nothing = budget.used(at: 3)
        _ = budget.take(upTo: 1, at: 3)
        let first = budget.used(at: 3)
        let last = budget.used(at: 63)
        let over = budget.used(at: 64)
        #expect(nothing == [] && over == [])
        #expect(first == [1] && last == Array(repeating: 0, count: 60) + [1])
    }

    @Test(
        arguments: [
            // Of a second that has not come, of long ago, of more seconds than a minute has, and of more tokens than there are.
            (counts: [5], last: 201, left: 10), ([5], 100, 10), (Array(repeating: 1, count: 5), 142, 7),
            (Array(repeating: 0, count: 500) + [5], 200, 10), ([UInt64.max, .max], 200, 0), ([], 200, 10),
        ] as [(counts: [UInt64], last: UInt64, left: UInt32)])
    func `whatever another agent says was used, only what can count does`(
        counts: [UInt64], last: UInt64, left: UInt32
    ) {
        var budget = TokenBudget(perMinute: 10)
        budget.add(used: counts, upTo: last, at: 200)
        let now = budget.available(at: 200)
        let later = budget.available(at: 261)
        #expect(now == left && later == 10)
    }

    @Test func `what was used before a minute had passed on the clock counts`() {
        var budget = TokenBudget(perMinute: 10)
        budget.add(used: Array(repeating: 1, count: 61), upTo: 4, at: 5)
        let now = budget.available(at: 5)
        #expect(now == 5)
    }

    @Test(arguments: 0..<20) func `over any number of agents no minute has more than its limit`(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var budget = TokenBudget(perMinute: 100)
        var taken: [(second: UInt64, count: UInt64)] = []
        var second: UInt64 = random.next() % 1000
        for _ in 0..<2000 {
            second += random.next() % 4
            if random.next() % 10 == 0 {
                let (used, told) = (budget.used(at: second), second)
                second += random.next() % 3
                budget = TokenBudget(perMinute: 100)
                budget.add(used: used, upTo: told, at: second)
            }
            taken.append((second, UInt64(budget.take(upTo: UInt32(random.next() % 50), at: second))))
        }
        for (index, last) in taken.enumerated() {
            let sum = taken[...index].reversed().prefix { last.second - $0.second <= 60 }.reduce(0) { $0 + $1.count }
            #expect(sum <= 100)
        }
        #expect(taken.contains { $0.count > 0 })
    }
}
