import BackendIPC
import GRPC
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

@testable import InferenceService

/// Turns whose consumer may come back.
struct ResumableTurnStateTests {
    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    private func turn(wantsQueueEvents: Bool = false, limits: InferenceLimits = InferenceLimits()) -> TurnState {
        var request = TurnRequest()
        request.wantsQueueEvents = wantsQueueEvents
        var turn = TurnState(request, model: "m", creditTokens: 64, limits: limits, arrived: at(1_000))
        turn.makeResumable(token: "secret", milliseconds: 1_500, limits: limits)
        return turn
    }

    private func begin(_ turn: inout TurnState) {
        _ = turn.begun(Hearth_V1_Accepted(), canContinue: true, granted: 64, at: at(2_000))
    }

    private func came(_ turn: inout TurnState, _ text: String) {
        Array(text.utf8).withUnsafeBytes { text in
            let id: [UInt8] = [7]
            id.withUnsafeBytes { ids in
                _ = turn.came(
                    TokenRunView(sequence: 0, tokenCount: 1, packedTokenIDs: ids, text: text), at: at(3_000))
            }
        }
    }

    /// Takes what was not sent, as a call does.
    private func take(_ turn: inout TurnState) -> [Hearth_V1_ChatEvent] {
        var events: [Hearth_V1_ChatEvent] = []
        turn.take(byteCount: .max, keepsSent: true) { bytes in
            var rest = bytes
            while !rest.isEmpty {
                let end = MessagePrefix.byteCount + MessagePrefix.messageByteCount(rest)
                do {
                    events.append(
                        try Hearth_V1_ChatEvent(serializedBytes: Array(rest[MessagePrefix.byteCount..<end])))
                } catch {
                    Issue.record("no event: \(error)")
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[end...])
            }
        }
        return events
    }

    private func wanted(_ turn: inout TurnState) -> UInt32 {
        turn.wanted(isCongested: false, takenBytes: 0, at: at(3_000))
    }

    @Test func `its first event is the token, whatever comes then`() {
        var waiting = turn(wantsQueueEvents: true)
        let first = take(&waiting)
        #expect(first.map(\.seq) == [1])
        #expect(first.first?.resumable.resumeToken == "secret")
        #expect(first.first?.resumable.resumableFor == .init(seconds: 1, nanos: 500_000_000))
        begin(&waiting)
        #expect(take(&waiting).map(\.seq) == [2])
    }

    @Test func `a place in the queue is told once the one before was sent, although that is kept`() {
        var turn = turn(wantsQueueEvents: true)
        turn.queued(position: 3)
        #expect(take(&turn).count == 1)
        turn.queued(position: 2)
        turn.queued(position: 1)
        let told = take(&turn)
        #expect(told.map(\.queued.position) == [2])
        #expect(turn.ring.eventCount == 2)
    }

    @Test(arguments: [false, true]) func `a pause is told, because the consumer has heard of the turn`(_ isLost: Bool) {
        var turn = turn()
        _ = take(&turn)
        if isLost {
            begin(&turn)
            _ = turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(4_000))
        } else {
            turn.paused(.owner, "why")
        }
        #expect(take(&turn).last?.paused.reason == (isLost ? .backendLost : .owner))
    }

    @Test func `nobody reads it, and it is computed until its ring is half full`() throws {
        var limits = InferenceLimits()
        limits.resumableEventsMax = 16
        var turn = turn(limits: limits)
        begin(&turn)
        _ = take(&turn)
        var tokens = 0
        while wanted(&turn) > 0 || tokens < 40, tokens < 100, !turn.ring.isHalfFull {
            came(&turn, "a")
            tokens += 1
        }
        // Two events were sent, and seven that were not make more than half.
        #expect(tokens == 7)
        #expect(wanted(&turn) == 0)
        // Who comes back has them.
        try turn.resume(after: 2)
        #expect(take(&turn).map(\.seq) == Array(3...9))
        #expect(!turn.ring.isHalfFull)
    }

    @Test func `its end is kept until it is acknowledged, and so is a failure`() throws {
        var whole = turn()
        begin(&whole)
        came(&whole, "a")
        _ = whole.finished(Finish(.reason(.stop)), at: at(4_000))
        let sent = take(&whole)
        #expect(sent.last?.usage.completionTokens == 1)
        #expect(!whole.isAcknowledged)
        try whole.resume(after: sent.count > 2 ? UInt64(sent.count - 2) : 0)
        #expect(take(&whole).map(\.seq) == sent.suffix(2).map(\.seq))
        try whole.acknowledge(UInt64(sent.count))
        #expect(whole.isAcknowledged)

        var failed = turn()
        begin(&failed)
        came(&failed, "a")
        _ = failed.fail(StatusMapping.draining)
        #expect(take(&failed).count == 3)
        try failed.resume(after: 2)
        #expect(take(&failed).map(\.delta.text) == ["a"])
    }

    @Test func `a turn that runs is not acknowledged as a whole, and another one knows no acknowledgements`() throws {
        var running = turn()
        begin(&running)
        _ = take(&running)
        try running.acknowledge(2)
        #expect(running.ring.isEmpty)
        #expect(!running.isAcknowledged)

        var plain = TurnState(
            TurnRequest(), model: "m", creditTokens: 64, limits: InferenceLimits(), arrived: at(1_000))
        try plain.acknowledge(99)
        #expect(plain.reader == nil)
    }
}
