import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("KeepAlive")
struct KeepAliveTests {
    private func at(_ seconds: UInt64) -> Monotonic { Monotonic(nanoseconds: seconds * 1_000_000_000) }

    /// Requests that ran together until a moment; nil asks for ever.
    private func idle(_ keep: inout KeepAlive, after asked: [UInt32?], at seconds: UInt64) -> Monotonic? {
        for length in asked { keep.used(askedSeconds: length) }
        return keep.becameIdle(usualSeconds: 300, at: at(seconds))
    }

    @Test("of requests that ran together the longest wish holds, and without any the usual one")
    func together() {
        var keep = KeepAlive()
        #expect(idle(&keep, after: [10, 60, 20], at: 100) == at(160))
        var none = KeepAlive()
        #expect(idle(&none, after: [], at: 100) == at(400))
        #expect(idle(&none, after: [0], at: 110) == at(110), "nobody had asked for the usual time")
    }

    @Test("a later request adds, and takes nothing away from those before")
    func later() {
        var keep = KeepAlive()
        #expect(idle(&keep, after: [0], at: 100) == at(100))
        #expect(idle(&keep, after: [60], at: 200) == at(260))
        #expect(idle(&keep, after: [0], at: 210) == at(260))
        #expect(idle(&keep, after: [100], at: 220) == at(320))
        #expect(idle(&keep, after: [0], at: 400) == at(400))
    }

    @Test("a sleep of the machine brings the end of the time nearer that requests have asked for")
    func slept() {
        var keep = KeepAlive()
        #expect(idle(&keep, after: [60], at: 200) == at(260))
        keep.slept(nanoseconds: 40_000_000_000)
        #expect(idle(&keep, after: [0], at: 210) == at(220))
        keep.slept(nanoseconds: 40_000_000_000)
        #expect(idle(&keep, after: [0], at: 215) == at(215))
    }

    @Test("who wants it for ever gets it for ever")
    func forever() {
        var keep = KeepAlive()
        #expect(idle(&keep, after: [nil, 5], at: 100) == nil)
        #expect(idle(&keep, after: [5], at: 200) == nil)
        var unlimited = KeepAlive()
        #expect(unlimited.becameIdle(usualSeconds: nil, at: at(100)) == nil)
    }
}
