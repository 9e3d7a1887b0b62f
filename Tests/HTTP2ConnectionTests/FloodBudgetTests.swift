import HTTP2Connection
import LinuxSystem
import Testing

struct FloodBudgetTests {
    private func moment(_ milliseconds: UInt64) -> Monotonic {
        Monotonic(nanoseconds: 5_000_000_000).advanced(milliseconds: milliseconds)
    }

    private var limits: HTTP2Limits {
        var limits = HTTP2Limits()
        limits.settingsPerSecondMax = 2
        limits.pingsPerSecondMax = 3
        return limits
    }

    /// Which of these frames, at these milliseconds, are within the budget.
    private func accepted(_ frames: [(FloodBudget.Kind, UInt64)], forgiving: Bool = false) -> [Bool] {
        var budget = FloodBudget(limits)
        return frames.map { kind, time in
            if forgiving { budget.forgivePings() }
            return budget.spend(kind, at: moment(time))
        }
    }

    @Test("One frame too many in a second is noticed, and the next second begins anew")
    func seconds() {
        let frames: [(FloodBudget.Kind, UInt64)] = [
            (.settings, 0), (.settings, 500), (.settings, 999), (.settings, 1_000),
        ]
        #expect(accepted(frames) == [true, true, false, true])
    }

    @Test("Each kind has its own budget")
    func kinds() {
        let frames: [(FloodBudget.Kind, UInt64)] = [
            (.settings, 0), (.settings, 0), (.ping, 0), (.ping, 0), (.ping, 0), (.ping, 0),
        ]
        #expect(accepted(frames) == [true, true, true, true, true, false])
    }

    @Test("Pings that may answer our data do not count")
    func forgiven() {
        let frames = (0..<10).map { _ in (FloodBudget.Kind.ping, UInt64(0)) }
        #expect(accepted(frames, forgiving: true).allSatisfy { $0 })
        #expect(!accepted(frames).allSatisfy { $0 })
    }
}
