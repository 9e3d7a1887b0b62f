import LaunchPlan
import SeccompFilter
import Testing

@testable import LaunchSequence

/// The counting of supervised calls.
struct CallKindsTests {
    @Test("calls of one number are one kind, unless arguments tell them apart")
    func kinds() {
        var kinds = CallKinds(telling: [TellingArguments(call: 41, mask: 0b1)])
        let first = kinds.note(SystemCall(41, [2, 1, 0, 0, 0, 0]), errno: 1)
        let again = kinds.note(SystemCall(41, [2, 3, 0, 0, 0, 0]), errno: 1)
        let other = kinds.note(SystemCall(41, [10, 1, 0, 0, 0, 0]), errno: 1)
        let plain = kinds.note(SystemCall(2, [7, 7, 7, 7, 7, 7]), errno: 13)
        let plainAgain = kinds.note(SystemCall(2, [8, 8, 8, 8, 8, 8]), errno: 13)
        #expect([first, again, other, plain, plainAgain] == [true, false, true, true, false])
        #expect(kinds.indices.map { kinds[$0].count } == [2, 1, 2])
        #expect(kinds[0].call.arguments == [2, 1, 0, 0, 0, 0], "the first of its kind, whole")
        #expect(kinds[2].errno == 13)
    }

    @Test("beyond the limit only their number is counted")
    func beyond() {
        var kinds = CallKinds(telling: [TellingArguments(call: 16, mask: 0b10)])
        for request in 0..<UInt64(LaunchPlan.Bounds.callKindsMax + 100) {
            _ = kinds.note(SystemCall(16, [0, request, 0, 0, 0, 0]), errno: 25)
        }
        #expect(kinds.indices.count == LaunchPlan.Bounds.callKindsMax + 1)
        let last = kinds[LaunchPlan.Bounds.callKindsMax]
        #expect(last.call.number == SupervisedCall.otherKinds)
        #expect(last.count == 100)
    }

    @Test("news is what was counted since it was told")
    func news() {
        var kinds = CallKinds(telling: [])
        _ = kinds.note(SystemCall(1), errno: 1)
        #expect(kinds.hasNews && kinds.isNews(0))
        kinds.told(0)
        #expect(!kinds.hasNews && !kinds.isNews(0))
        _ = kinds.note(SystemCall(1), errno: 1)
        #expect(kinds.hasNews && kinds.isNews(0))
    }
}
