import LinuxSystem
import Testing

@testable import HTTP2Connection

struct ConnectionClockTests {
    @Test("The next moment is the earliest, and nothing is due before it")
    func next() {
        var clock = ConnectionClock()
        #expect(clock.next == nil)
        #expect(clock.due(at: .now()) == nil)
        clock.idleEnds = Monotonic(nanoseconds: 30)
        clock.stallEnds = Monotonic(nanoseconds: 20)
        #expect(clock.next == Monotonic(nanoseconds: 20))
        #expect(clock.due(at: Monotonic(nanoseconds: 19)) == nil)
        #expect(clock.due(at: Monotonic(nanoseconds: 20)) == .stall)
        clock.stallEnds = nil
        #expect(clock.due(at: Monotonic(nanoseconds: 30)) == .idle)
    }
}
