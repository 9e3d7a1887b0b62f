import LaunchPlan
import LinuxSystem
import SeccompFilter
import Testing

@Suite("KeeperConversation")
struct KeeperConversationTests {
    private static let failure = KeeperReport.failed(reason: "landlock: none", isTransient: false)
    private static let call = KeeperReport.supervised(
        SupervisedCall(SystemCall(41, [1, 2, 3, 4, 5, 6]), errno: 1, count: 1))
    private static let end = KeeperReport.ended(.exited(125), KeeperReportTests.use)
    private static let all = [.started, failure, call, .frozen, .thawed, end]

    /// After these were heard.
    private func conversation(_ reports: KeeperReport...) throws -> KeeperConversation {
        var conversation = KeeperConversation()
        for report in reports { #expect(try conversation.hear(report.encoded()) == report) }
        return conversation
    }

    /// Which of all reports could come now.
    private func possible(_ conversation: KeeperConversation) -> [KeeperReport] {
        Self.all.filter { report in
            var copy = conversation
            return (try? copy.hear(report.encoded())) == report
        }
    }

    @Test("in every phase what a keeper can say then is heard, and nothing else")
    func phases() throws {
        #expect(possible(try conversation()) == [.started, Self.failure, Self.end])
        #expect(possible(try conversation(.started)) == [Self.failure, Self.call, Self.end])
        #expect(possible(try conversation(.started, Self.call)) == [Self.failure, Self.call, Self.end])
        #expect(possible(try conversation(Self.failure)) == [])
        #expect(possible(try conversation(.started, Self.end)) == [])
        #expect(possible(try conversation(Self.end)) == [])
        var asked = try conversation(.started)
        _ = asked.ask(.freeze)
        #expect(possible(asked) == [Self.failure, Self.call, .frozen, Self.end])
        _ = try asked.hear(KeeperReport.frozen.encoded())
        #expect(possible(asked) == [Self.failure, Self.call, Self.end])
        _ = asked.ask(.thaw)
        #expect(possible(asked) == [Self.failure, Self.call, .thawed, Self.end])
        var early = try conversation()
        _ = early.ask(.freeze)
        #expect(possible(early) == [.started, Self.failure, Self.end], "none is frozen before it runs")
    }

    @Test("what no keeper says is refused in every phase")
    func garbage() throws {
        for conversation in [try conversation(), try conversation(.started), try conversation(.started, Self.end)] {
            for datagram: [UInt8] in [[], [0], [9, 9], [1, 0]] {
                var copy = conversation
                #expect(throws: RecordError.self) { try copy.hear(datagram) }
            }
        }
    }

    @Test("the end is the backend's own, whatever its number means to others")
    func ends() throws {
        let ended = try conversation(.started, Self.end)
        #expect(ended.end == .exited(125) && ended.use == KeeperReportTests.use && ended.failure == nil && ended.isOver)
        let killed = try conversation(.ended(.signalled(9), KeeperReportTests.use))
        #expect(killed.end == .signalled(9))
        #expect(try conversation(.started).end == nil)
    }

    @Test("a failure before the start is as final as it says; one after it never is")
    func failures() throws {
        let early = try conversation(Self.failure)
        #expect(early.failure == LaunchFailure("landlock: none", isTransient: false) && early.isOver)
        let late = try conversation(.started, Self.failure)
        #expect(late.failure == LaunchFailure("landlock: none", isTransient: true, hasBegun: true))
        #expect(late.end == nil)
    }

    @Test("what is asked already, or is so, is not asked again")
    func asking() throws {
        var talk = try conversation(.started)
        #expect(talk.ask(.thaw) == nil)
        #expect(talk.ask(.freeze) == [1])
        #expect(talk.ask(.freeze) == nil)
        #expect(!talk.isFrozen)
        _ = try talk.hear(KeeperReport.frozen.encoded())
        #expect(talk.isFrozen)
        #expect(talk.ask(.freeze) == nil)
        #expect(talk.ask(.thaw) == [2])
        #expect(!talk.isFrozen)
        #expect(talk.ask(.freeze) == [1])
        _ = try talk.hear(KeeperReport.thawed.encoded())
        #expect(!talk.isFrozen)
        _ = try talk.hear(KeeperReport.frozen.encoded())
        #expect(talk.isFrozen)
        _ = try talk.hear(Self.end.encoded())
        #expect(!talk.isFrozen)
        #expect(talk.ask(.thaw) == nil && talk.ask(.freeze) == nil)
    }

    @Test("one that was asked to freeze and to thaw before it answered is not frozen in between")
    func overtaken() throws {
        var talk = try conversation(.started)
        _ = talk.ask(.freeze)
        #expect(talk.ask(.thaw) == [2])
        #expect(throws: RecordError.self) {
            var copy = talk
            return try copy.hear(KeeperReport.thawed.encoded())
        }
        _ = try talk.hear(KeeperReport.frozen.encoded())
        #expect(!talk.isFrozen)
        _ = try talk.hear(KeeperReport.thawed.encoded())
        #expect(talk.ask(.freeze) == [1])
    }

    @Test("that of another agent is gone on with as it stood: what was asked is answered, and is not asked again")
    func goneOnWith() throws {
        var idle = KeeperConversation(hasStarted: true, isFrozen: false, unanswered: [])
        #expect(possible(idle) == [Self.failure, Self.call, Self.end])
        #expect(idle.ask(.thaw) == nil && idle.ask(.freeze) != nil)
        var frozen = KeeperConversation(hasStarted: true, isFrozen: true, unanswered: [])
        #expect(frozen.isFrozen && frozen.ask(.freeze) == nil && frozen.ask(.thaw) != nil && !frozen.isFrozen)
        var asked = KeeperConversation(hasStarted: true, isFrozen: false, unanswered: [.freeze, .thaw])
        #expect(asked.ask(.thaw) == nil && asked.unanswered == [.freeze, .thaw])
        #expect(possible(asked) == [Self.failure, Self.call, .frozen, Self.end])
        _ = try asked.hear(KeeperReport.frozen.encoded())
        #expect(!asked.isFrozen && possible(asked) == [Self.failure, Self.call, .thawed, Self.end])
        _ = try asked.hear(KeeperReport.thawed.encoded())
        #expect(asked.unanswered.isEmpty && asked.ask(.freeze) != nil)
        #expect(
            possible(KeeperConversation(hasStarted: false, isFrozen: false, unanswered: [])) == [
                .started, Self.failure, Self.end,
            ])
    }
}
