import Testing

@testable import InferenceService

struct TurnPaceTests {
    @Test func `the mean follows the latest turns`() {
        var pace = TurnPace()
        #expect(pace.milliseconds(untilEnded: 1, running: 1) == nil)
        pace.note(microseconds: 8_000_000)
        #expect(pace.meanMicroseconds == 8_000_000)
        pace.note(microseconds: 16_000_000)
        #expect(pace.meanMicroseconds == 9_000_000)
        for _ in 0..<200 { pace.note(microseconds: 0) }
        #expect((pace.meanMicroseconds ?? 9) < 9)
    }

    @Test func `as many end at once as run`() {
        var pace = TurnPace()
        pace.note(microseconds: 6_000_000)
        #expect(pace.milliseconds(untilEnded: 2, running: 3) == 4_000)
        #expect(pace.milliseconds(untilEnded: 2, running: 0) == 12_000, "the first has still to begin")
    }
}
