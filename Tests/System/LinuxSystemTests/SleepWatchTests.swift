import Testing

@testable import LinuxSystem

struct SleepWatchTests {
    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    @Test func `a sleep is told once, with its length, however long the machine was awake before and after`() {
        var watch = SleepWatch(now: at(9_000), awake: at(5_000))
        #expect(watch.look(now: at(1_009_000), awake: at(1_005_000)) == nil)
        #expect(watch.look(now: at(1_609_500), awake: at(1_005_500)) == 600_000_000_000)
        #expect(watch.look(now: at(1_610_500), awake: at(1_006_500)) == nil)
        #expect(watch.look(now: at(1_612_600), awake: at(1_007_000)) == 1_600_000_000)
    }

    @Test func `clocks that were read at different moments are no sleep, also many times`() {
        var watch = SleepWatch(now: at(9_000), awake: at(5_000))
        for moment in 1...100 as ClosedRange<UInt64> {
            let late = moment % 2 * 999
            #expect(watch.look(now: at(9_000 + moment * 1_000 + late), awake: at(5_000 + moment * 1_000)) == nil)
        }
    }

    @Test func `both clocks go on, and the one that counts sleep is not behind`() {
        let (awake, now) = (Monotonic.awake(), Monotonic.now())
        #expect(awake <= .awake() && now <= .now())
        #expect(awake <= now)
    }

    @Test func `a moment before the machine's start is its start`() {
        #expect(at(5).earlier(nanoseconds: 2_000_000) == at(3))
        #expect(at(5).earlier(nanoseconds: 6_000_000) == at(0))
    }
}
