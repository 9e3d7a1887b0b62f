import HTTP2Connection
import LimitDeclaration
import LinuxSystem
import Testing

/// `#expect` calls no mutating function.
private final class Budget {
    private var budget: FloodBudget

    init(_ limits: HTTP2Limits) { budget = FloodBudget(limits) }
    func receive(_ frame: FrameHeader, at now: Monotonic) -> HTTP2Limits.Name? { budget.receive(frame, at: now) }
    func spend(_ kind: FloodBudget.Kind, at now: Monotonic) -> Bool { budget.spend(kind, at: now) }
    func sent() { budget.sent() }
}

struct FloodBudgetTests {
    private typealias Name = HTTP2Limits.Name

    private func moment(_ milliseconds: UInt64 = 0) -> Monotonic {
        Monotonic(nanoseconds: 5_000_000_000).advanced(milliseconds: milliseconds)
    }

    private func frame(_ kind: FrameHeader.Kind, length: Int = 0, flags: UInt8 = 0) -> FrameHeader {
        FrameHeader(length: length, type: kind.rawValue, flags: flags, stream: 1)
    }

    /// How many of these frames pass, all at once, before a limit is met, and which; at most so many are tried.
    private func passing(
        _ frame: FrameHeader, limits: HTTP2Limits = HTTP2Limits(), most: Int = 30_000
    ) -> (count: Int, limit: HTTP2Limits.Name?) {
        let budget = Budget(limits)
        for count in 0..<most {
            if let limit = budget.receive(frame, at: moment()) { return (count, limit) }
        }
        return (most, nil)
    }

    @Test("Each kind of frame has a limit of its own, by name")
    func kinds() {
        let limits = HTTP2Limits()
        let cases: [(FrameHeader, Name, Int)] = [
            (frame(.settings, length: 6), .settingsPerSecondMax, limits.settingsPerSecondMax),
            (frame(.settings, flags: 1), .acknowledgementsPerSecondMax, limits.acknowledgementsPerSecondMax),
            (frame(.ping, length: 8, flags: 1), .acknowledgementsPerSecondMax, limits.acknowledgementsPerSecondMax),
            (frame(.priority, length: 5), .prioritiesPerSecondMax, limits.prioritiesPerSecondMax),
            (frame(.priorityUpdate, length: 5), .prioritiesPerSecondMax, limits.prioritiesPerSecondMax),
            (frame(.windowUpdate, length: 4), .windowUpdatesPerSecondMax, limits.windowUpdatesPerSecondMax),
            (frame(.data), .emptyDataPerSecondMax, limits.emptyDataPerSecondMax),
            (frame(.data, length: 256, flags: 8), .emptyDataPerSecondMax, limits.emptyDataPerSecondMax),
            (frame(.data, length: 1), .smallDataPerSecondMax, limits.smallDataPerSecondMax),
            (frame(.data, length: 15), .smallDataPerSecondMax, limits.smallDataPerSecondMax),
            (frame(.goAway, length: 8), .otherFramesPerSecondMax, limits.otherFramesPerSecondMax),
            (frame(.pushPromise, length: 8), .otherFramesPerSecondMax, limits.otherFramesPerSecondMax),
            (
                FrameHeader(length: 9, type: 0xee, flags: 0, stream: 0), .otherFramesPerSecondMax,
                limits.otherFramesPerSecondMax
            ),
            (frame(.continuation), .continuationsMax, limits.continuationsMax),
            (frame(.continuation, length: 64 << 10), .headerBlockBytesMax, 2),
            (frame(.headers, length: 129 << 10), .headerBlockBytesMax, 0),
            (frame(.settings, length: 33 * 6), .settingsEntriesMax, 0),
        ]
        for (frame, limit, count) in cases {
            let found = passing(frame)
            #expect(found.limit == limit, "\(frame)")
            #expect(found.count == count, "\(frame)")
        }
    }

    @Test("Frames that do work, or whose effect decides, pass without end")
    func free() {
        for frame in [
            frame(.data, length: 16), frame(.data, length: 272, flags: 8), frame(.data, flags: 1),
            frame(.data, length: 3, flags: 1), frame(.headers, length: 100), frame(.reset, length: 4),
            frame(.ping, length: 8),
            frame(.settings, length: 32 * 6, flags: 0),
        ] where frame.kind != .settings {
            #expect(passing(frame).limit == nil, "\(frame)")
        }
        #expect(passing(frame(.settings, length: 32 * 6)).count == HTTP2Limits().settingsPerSecondMax)
    }

    @Test("A header block is counted anew with each HEADERS")
    func headerBlocks() {
        let budget = Budget(HTTP2Limits())
        for _ in 0..<1_000 {
            #expect(budget.receive(frame(.headers, length: 16 << 10), at: moment()) == nil)
            for _ in 0..<7 { #expect(budget.receive(frame(.continuation, length: 16 << 10), at: moment()) == nil) }
        }
        #expect(budget.receive(frame(.continuation, length: 1), at: moment()) == .headerBlockBytesMax)
    }

    @Test("What is used up comes back with time, and one kind does not use up another's")
    func time() {
        var limits = HTTP2Limits()
        limits.settingsPerSecondMax = 2
        let budget = Budget(limits)
        let settings = frame(.settings)
        #expect(budget.receive(settings, at: moment(0)) == nil)
        #expect(budget.receive(settings, at: moment(0)) == nil)
        #expect(budget.receive(settings, at: moment(499)) == .settingsPerSecondMax)
        #expect(budget.receive(frame(.priority), at: moment(499)) == nil)
        #expect(budget.receive(settings, at: moment(500)) == nil)
        #expect(budget.receive(settings, at: moment(999)) == .settingsPerSecondMax)
    }

    @Test("What only its effect tells of is counted under its own name")
    func effects() {
        let limits = HTTP2Limits()
        let cases: [(FloodBudget.Kind, Int)] = [
            (.reset, limits.resetsAtOnceMax), (.lateReset, limits.lateResetsPerSecondMax),
            (.brokenStream, limits.brokenStreamsPerSecondMax), (.refusedStream, limits.refusedStreamsPerSecondMax),
            (.keyUpdate, limits.keyUpdatesPerSecondMax),
            (.refusedHeaderList, limits.refusedHeaderListsPerSecondMax),
        ]
        for (kind, most) in cases {
            let budget = Budget(limits)
            for _ in 0..<most { #expect(budget.spend(kind, at: moment())) }
            #expect(!budget.spend(kind, at: moment()))
        }
        let budget = Budget(limits)
        for _ in 0..<limits.resetsAtOnceMax { #expect(budget.spend(.reset, at: moment())) }
        let after = (0..<5_000).count { _ in budget.spend(.reset, at: moment(1_000)) }
        #expect(after == limits.resetsPerSecondMax)
    }

    @Test("What a peer sends in answer to our frames does not count, and more than that does")
    func answers() {
        let budget = Budget(HTTP2Limits())
        for _ in 0..<20_000 {
            budget.sent()
            for _ in 0..<4 { #expect(budget.receive(frame(.windowUpdate, length: 4), at: moment()) == nil) }
            #expect(budget.spend(.lateReset, at: moment()))
        }
        let more = (0..<30_000).count { _ in budget.receive(frame(.windowUpdate), at: moment()) == nil }
        #expect(more == HTTP2Limits().windowUpdatesPerSecondMax)
    }

    @Test("Answers may come long after what they answer, all at once, up to a bound")
    func lateAnswers() {
        let limits = HTTP2Limits()
        let budget = Budget(limits)
        for _ in 0..<2_048 { budget.sent() }
        let updates = (0..<30_000).count { _ in budget.receive(frame(.windowUpdate), at: moment()) == nil }
        #expect(updates == 4 * 2_048 + limits.windowUpdatesPerSecondMax)
        let resets = (0..<30_000).count { _ in budget.spend(.lateReset, at: moment()) }
        #expect(resets == 2_048 + limits.lateResetsPerSecondMax)
        for _ in 0..<200_000 { budget.sent() }
        let bounded = (0..<200_000).count { _ in budget.spend(.lateReset, at: moment()) }
        #expect(bounded == limits.earnedFramesMax)
    }

    @Test("All streams that may be open can be reset late at once, whatever comes back each second")
    func allAtOnce() {
        var limits = HTTP2Limits()
        limits.lateResetsPerSecondMax = 10
        let budget = Budget(limits)
        let resets = (0..<5_000).count { _ in budget.spend(.lateReset, at: moment()) }
        #expect(resets == Int(limits.concurrentStreamsMax))
    }

    @Test("Every name of a limit is a property of the limits")
    func names() {
        let properties = Set(HTTP2Limits().named.map(\.name))
        for name in Name.allCases { #expect(properties.contains(name.rawValue), "\(name)") }
        #expect(Set(FloodBudget.Kind.allCases.map(\.limit)).count == FloodBudget.Kind.allCases.count)
    }
}
