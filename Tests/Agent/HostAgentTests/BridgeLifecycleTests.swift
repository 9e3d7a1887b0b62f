import LinuxSystem
import Testing

@testable import HostAgent

struct BridgeLifecycleTests {
    private func time(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    private var running: BridgeLifecycle {
        var life = BridgeLifecycle()
        _ = life.start()
        _ = life.launched(at: time(0))
        return life
    }

    @Test func `it is launched once, and its end launches it again at once`() {
        var life = BridgeLifecycle()
        #expect(life.start() == .launch)
        #expect(life.start() == nil)
        #expect(life.launched(at: time(0)) == nil)
        #expect(life.phase == .running(since: time(0)))
        #expect(life.ended(at: time(500)) == .pause(milliseconds: 0))
        #expect(life.restarts == 0)
        #expect(life.pauseEnded() == .launch)
        #expect(life.restarts == 1)
    }

    @Test func `short lives and failed launches have pauses that double up to a bound, and a long life ends them`() {
        var life = BridgeLifecycle()
        _ = life.start()
        var pauses: [UInt64] = []
        for round in 0..<12 {
            if round % 2 == 0 { _ = life.launched(at: time(0)) }
            guard case .pause(let milliseconds) = life.ended(at: time(499)) else { break }
            pauses.append(milliseconds)
            #expect(life.pauseEnded() == .launch)
        }
        #expect(
            pauses == [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000])
        _ = life.launched(at: time(0))
        #expect(life.ended(at: time(500)) == .pause(milliseconds: 0))
        _ = life.pauseEnded()
        #expect(life.ended(at: time(501)) == .pause(milliseconds: 100))
    }

    @Test func `a stop ends it in every phase, and nothing starts it afterwards`() {
        var idle = BridgeLifecycle()
        #expect(idle.stop() == nil)
        #expect(idle.phase == .stopped)

        var starting = BridgeLifecycle()
        _ = starting.start()
        #expect(starting.stop() == nil)
        // It came up nevertheless.
        #expect(starting.launched(at: time(0)) == .kill)
        #expect(starting.ended(at: time(1)) == nil)

        var life = running
        #expect(life.stop() == .kill)
        #expect(life.phase == .ending)
        #expect(life.stop() == nil)
        #expect(life.ended(at: time(900)) == nil)
        #expect(life.phase == .stopped)

        var pausing = running
        _ = pausing.ended(at: time(1))
        #expect(pausing.stop() == nil)
        #expect(pausing.pauseEnded() == nil)
        #expect(pausing.phase == .stopped)
    }

    @Test func `one that is retired goes on, and is not started again`() {
        var life = running
        life.retire()
        #expect(life.phase == .running(since: time(0)))
        #expect(life.ended(at: time(900)) == nil)
        #expect(life.phase == .stopped)

        var pausing = running
        _ = pausing.ended(at: time(1))
        pausing.retire()
        #expect(pausing.pauseEnded() == nil)
        #expect(pausing.phase == .stopped)

        var retired = running
        retired.retire()
        #expect(retired.stop() == .kill)
    }
}
