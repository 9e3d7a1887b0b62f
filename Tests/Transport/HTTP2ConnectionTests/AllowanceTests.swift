import HTTP2Connection
import LinuxSystem
import Testing

/// `#expect` calls no mutating function.
private final class Held {
    private var allowance: Allowance

    init(atOnce: Int, perSecond: Int? = nil) { allowance = Allowance(atOnce: atOnce, perSecond: perSecond) }
    func take(at now: Monotonic) -> Bool { allowance.take(at: now) }
    func left(at now: Monotonic) -> Int { allowance.left(at: now) }
    func charge(_ count: Int, at now: Monotonic) { allowance.charge(count, at: now) }
    func millisecondsUntilOne(at now: Monotonic) -> UInt64? { allowance.millisecondsUntilOne(at: now) }
}

struct AllowanceTests {
    private func moment(_ milliseconds: UInt64) -> Monotonic {
        Monotonic(nanoseconds: 5_000_000_000).advanced(milliseconds: milliseconds)
    }

    /// Which of these moments, in milliseconds, are given one.
    private func taken(_ held: Held, at milliseconds: [UInt64]) -> [Bool] {
        milliseconds.map { held.take(at: moment($0)) }
    }

    @Test("It gives what it holds at once, then what time brings, and no more than it holds after a rest")
    func pace() {
        let held = Held(atOnce: 2, perSecond: 10)
        #expect(
            taken(held, at: [0, 0, 0, 99, 100, 150, 199, 200]) == [
                true, true, false, false, true, false, false, true,
            ])
        let rested = Held(atOnce: 2, perSecond: 10)
        #expect(taken(rested, at: [0, 0, 1_000_000, 1_000_000, 1_000_000]) == [true, true, true, true, false])
    }

    @Test("Fractions are not lost, however often it is asked")
    func fractions() {
        let held = Held(atOnce: 1, perSecond: 1)
        #expect(held.take(at: moment(0)))
        for millisecond in 1..<UInt64(1_000) { #expect(!held.take(at: moment(millisecond))) }
        #expect(held.take(at: moment(1_000)))
    }

    @Test("A debt is made up for before anything is given")
    func debt() {
        let held = Held(atOnce: 10)
        #expect(held.left(at: moment(0)) == 10)
        held.charge(25, at: moment(0))
        #expect(held.left(at: moment(1_500)) == 0)
        #expect(!held.take(at: moment(1_599)))
        #expect(held.left(at: moment(2_000)) == 5)
        held.charge(-7, at: moment(2_000))
        #expect(held.left(at: moment(2_000)) == 5)
    }

    @Test("It says when there is one again")
    func waiting() throws {
        let held = Held(atOnce: 10)
        #expect(held.millisecondsUntilOne(at: moment(0)) == 0)
        held.charge(25, at: moment(0))
        let wait = try #require(held.millisecondsUntilOne(at: moment(0)))
        #expect((1_600...1_601).contains(wait))
        #expect(!held.take(at: moment(wait - 2)))
        #expect(held.millisecondsUntilOne(at: moment(wait)) == 0)
        #expect(held.take(at: moment(wait)))
        let once = Held(atOnce: 1, perSecond: 0)
        #expect(once.take(at: moment(0)))
        #expect(once.millisecondsUntilOne(at: moment(1_000_000)) == nil)
        let nothing = Held(atOnce: 0, perSecond: 5)
        #expect(nothing.millisecondsUntilOne(at: moment(0)) == nil)
    }

    @Test("Numbers of any size neither trap nor turn round")
    func extremes() {
        let held = Held(atOnce: .max)
        #expect(held.take(at: Monotonic(nanoseconds: .max)))
        held.charge(.max, at: Monotonic(nanoseconds: .max))
        held.charge(.max, at: Monotonic(nanoseconds: .max))
        #expect(!held.take(at: Monotonic(nanoseconds: .max)))
        #expect(held.millisecondsUntilOne(at: Monotonic(nanoseconds: .max)) != nil)
        let empty = Held(atOnce: -5, perSecond: -5)
        #expect(!empty.take(at: Monotonic(nanoseconds: .max)))
        let nothing = Held(atOnce: 0, perSecond: 1_000)
        #expect(!nothing.take(at: moment(1_000_000)))
    }
}
