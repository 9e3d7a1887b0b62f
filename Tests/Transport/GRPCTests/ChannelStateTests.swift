import LinuxSystem
import Testing

@testable import GRPC

/// A state behind a reference, because an expectation cannot change a value.
private final class Channel {
    var state: ChannelState

    init(_ state: ChannelState = ChannelState()) { self.state = state }

    var phase: ChannelState.Phase { state.phase }
    var reason: String? { state.reason }

    func call(waits: Bool = false, at now: Monotonic) -> Answer {
        let (verdict, action) = state.callCame(waits: waits, at: now)
        return Answer(verdict, action)
    }

    func opened() -> Bool { state.opened() }

    func failed(_ reason: String, hasWaiting: Bool = false, at now: Monotonic) -> ChannelState.Action? {
        state.failed(reason, hasWaiting: hasWaiting, chance: 0, at: now)
    }

    func pauseEnded(hasWaiting: Bool, at now: Monotonic) -> ChannelState.Action? {
        state.pauseEnded(hasWaiting: hasWaiting, at: now)
    }
}

private struct Answer: Equatable {
    let verdict: ChannelState.Verdict
    let action: ChannelState.Action?

    init(_ verdict: ChannelState.Verdict, _ action: ChannelState.Action? = nil) {
        self.verdict = verdict
        self.action = action
    }
}

@Suite
struct ChannelStateTests {
    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    /// One whose first attempt began at 0 and has failed; without chance the next one is due at 1,000 ms.
    private func failed(hasWaiting: Bool = false) -> (Channel, ChannelState.Action?) {
        let channel = Channel()
        _ = channel.call(waits: hasWaiting, at: at(0))
        return (channel, channel.failed("refused", hasWaiting: hasWaiting, at: at(200)))
    }

    @Test("The first call connects and waits, those after it wait, and once there is a connection all are sent")
    func first() {
        let channel = Channel()
        #expect(channel.call(at: at(0)) == Answer(.wait, .dial))
        #expect(channel.call(at: at(5)) == Answer(.wait))
        #expect(channel.opened())
        #expect(channel.call(at: at(6)) == Answer(.send))
        #expect(!channel.opened())
    }

    @Test("After a failed attempt calls fail at once with its reason, until the pause since its beginning is over")
    func refusal() {
        let (channel, action) = failed()
        #expect(action == nil)
        #expect(channel.reason == "refused")
        #expect(channel.call(at: at(999)) == Answer(.fail(reason: "refused")))
        #expect(channel.call(at: at(1_000)) == Answer(.wait, .dial))
        #expect(channel.reason == nil)
    }

    @Test("A call that waits for a connection has the next attempt made when the pause is over, once for all that wait")
    func waiting() {
        let (channel, action) = failed(hasWaiting: true)
        #expect(action == .pause(milliseconds: 801))
        #expect(channel.call(waits: true, at: at(300)) == Answer(.wait))
        #expect(channel.pauseEnded(hasWaiting: true, at: at(1_001)) == .dial)
        // Then 1.6 s, counted from there.
        #expect(channel.failed("refused", hasWaiting: true, at: at(1_002)) == .pause(milliseconds: 1_600))
    }

    @Test("A call that begins to wait in the pause has it ended")
    func waitingLater() {
        let (channel, _) = failed()
        #expect(channel.call(waits: true, at: at(400)) == Answer(.wait, .pause(milliseconds: 601)))
    }

    @Test("When nobody waits any more, nothing is tried")
    func nobody() {
        let (channel, _) = failed(hasWaiting: true)
        #expect(channel.pauseEnded(hasWaiting: false, at: at(1_001)) == nil)
        #expect(channel.call(at: at(1_002)) == Answer(.wait, .dial))
    }

    @Test("A pause that belongs to an earlier attempt ends no later one's")
    func earlyPause() {
        let (channel, _) = failed(hasWaiting: true)
        #expect(channel.call(at: at(1_000)) == Answer(.wait, .dial))
        #expect(channel.pauseEnded(hasWaiting: true, at: at(1_001)) == nil)
        #expect(channel.failed("refused", hasWaiting: true, at: at(1_100)) == .pause(milliseconds: 1_501))
    }

    @Test("After GOAWAY or a loss the next call connects at once, and the pauses begin anew with the first")
    func left() {
        let (channel, _) = failed()
        _ = channel.call(at: at(1_000))
        #expect(channel.opened())
        channel.state.left("lost")
        #expect(channel.phase == .idle && channel.reason == nil)
        #expect(channel.call(at: at(2_000)) == Answer(.wait, .dial))
        _ = channel.failed("refused", at: at(2_010))
        #expect(channel.phase == .failed(until: at(3_000), reason: "refused"))
    }

    @Test("A socket that was given is the only one: what is lost, or never was, stays so")
    func given() {
        let lost = Channel(ChannelState(connectedAt: at(0)))
        #expect(lost.call(waits: true, at: at(1)) == Answer(.wait))
        #expect(lost.opened())
        lost.state.left("gone")
        #expect(lost.call(waits: true, at: at(2)) == Answer(.fail(reason: "gone")))
        let never = Channel(ChannelState(connectedAt: at(0)))
        #expect(never.failed("silent", hasWaiting: true, at: at(1)) == nil)
        #expect(never.call(at: at(9_999)) == Answer(.fail(reason: "silent")))
    }

    @Test("A closed client connects in no phase, and says why")
    func closed() {
        let connecting = Channel()
        _ = connecting.call(at: at(0))
        for channel in [Channel(), connecting, failed(hasWaiting: true).0] {
            channel.state.close("closed")
            #expect(!channel.opened())
            #expect(channel.failed("late", hasWaiting: true, at: at(1)) == nil)
            #expect(channel.pauseEnded(hasWaiting: true, at: at(5_000)) == nil)
            channel.state.left("late")
            channel.state.close("again")
            #expect(channel.call(waits: true, at: at(9_000)) == Answer(.fail(reason: "closed")))
        }
    }
}

@Suite
struct ConnectionBackoffTests {
    @Test("The waits are gRPC's: one second, 1.6 times as long each time, at most two minutes, and anew after success")
    func waits() {
        var backoff = ConnectionBackoff()
        let waits = (0..<30).map { _ in backoff.failed(chance: 0) }
        #expect(waits.prefix(4) == [1_000, 1_600, 2_560, 4_096] && waits.last == 120_000)
        backoff.reset()
        let first = backoff.failed(chance: 0)
        #expect(first == 1_000)
    }

    @Test(
        "Chance moves a wait by a fifth at most",
        arguments: [(-1.0, 800), (-7, 800), (0.5, 1_100), (1, 1_200), (9, 1_200)])
    func chance(_ chance: Double, _ milliseconds: UInt64) {
        var backoff = ConnectionBackoff()
        let wait = backoff.failed(chance: chance)
        #expect(wait == milliseconds)
    }
}
