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
        limits.emptyDataPerSecondMax = 3
        return limits
    }

    /// Which of these frames, at these milliseconds, are within the budget.
    private func accepted(_ frames: [(FloodBudget.Kind, UInt64)]) -> [Bool] {
        var budget = FloodBudget(limits)
        return frames.map { kind, time in
            budget.spend(kind, at: moment(time))
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
            (.settings, 0), (.settings, 0), (.emptyData, 0), (.emptyData, 0), (.emptyData, 0), (.emptyData, 0),
        ]
        #expect(accepted(frames) == [true, true, true, true, true, false])
    }
}
