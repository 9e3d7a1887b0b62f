import LinuxSystem
import Testing

@testable import InferenceService

struct UnreadWatchTests {
    private func at(_ seconds: UInt64) -> Monotonic { Monotonic(nanoseconds: seconds * 1_000_000_000) }

    @Test func `the time runs from when a turn stands still, and ends when it goes on`() {
        var watch = UnreadWatch(bytesMin: 100)
        watch.look(isCongested: false, takenBytes: 0, at: at(1))
        #expect(watch.since == nil)
        watch.look(isCongested: true, takenBytes: 0, at: at(2))
        watch.look(isCongested: true, takenBytes: 0, at: at(9))
        #expect(watch.since == at(2))
        watch.look(isCongested: false, takenBytes: 0, at: at(10))
        #expect(watch.since == nil)
    }

    @Test func `one that reads slowly begins anew with what it takes`() {
        var watch = UnreadWatch(bytesMin: 100)
        watch.look(isCongested: true, takenBytes: 500, at: at(1))
        watch.look(isCongested: true, takenBytes: 599, at: at(2))
        #expect(watch.since == at(1), "next to nothing is nothing")
        watch.look(isCongested: true, takenBytes: 600, at: at(3))
        #expect(watch.since == at(3))
        watch.look(isCongested: true, takenBytes: 650, at: at(4))
        #expect(watch.since == at(3))
    }

    @Test func `another reader has its own time, and its own bytes`() {
        var watch = UnreadWatch(bytesMin: 100)
        watch.look(isCongested: true, takenBytes: 5_000, at: at(1))
        watch.begin()
        #expect(watch.since == nil)
        watch.look(isCongested: true, takenBytes: 10, at: at(2))
        #expect(watch.since == at(2))
        watch.look(isCongested: true, takenBytes: 110, at: at(3))
        #expect(watch.since == at(3))
    }
}
