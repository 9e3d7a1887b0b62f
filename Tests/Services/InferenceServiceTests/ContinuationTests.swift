import BackendIPC
import GRPC
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

@testable import InferenceService

/// Turns whose process is lost, and that go on with another one.
struct ContinuationTests {
    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    /// One that runs on a backend that can go on with it, whose `Accepted` was taken.
    private func running(stops: [String] = [], choices: UInt32? = nil, canContinue: Bool = true) -> TurnState {
        var request = TurnRequest()
        request.choices = choices
        request.stopping.stop = stops
        var turn = TurnState(request, model: "m", creditTokens: 64, limits: InferenceLimits(), arrived: at(1_000))
        begin(&turn, canContinue: canContinue)
        _ = take(&turn)
        return turn
    }

    private func begin(_ turn: inout TurnState, canContinue: Bool = true) {
        _ = turn.begun(Hearth_V1_Accepted(), canContinue: canContinue, granted: 64, at: at(2_000))
    }

    private func came(_ turn: inout TurnState, _ text: String, ids: [UInt8] = [7]) -> TurnState.Actions {
        Array(text.utf8).withUnsafeBytes { text in
            ids.withUnsafeBytes { ids in
                turn.came(
                    TokenRunView(sequence: 0, tokenCount: ids.count { $0 < 0x80 }, packedTokenIDs: ids, text: text),
                    at: at(3_000))
            }
        }
    }

    private func lose(
        _ turn: inout TurnState, isFailure: Bool = true, wasAlone: Bool = false
    ) -> TurnState.Actions {
        turn.lost(
            .init(status: StatusMapping.lost(model: "m"), isFailure: isFailure, wasAlone: wasAlone), at: at(4_000))
    }

    private func take(_ turn: inout TurnState) -> [Hearth_V1_ChatEvent] { turn.takeEvents(byteCount: .max) }

    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }

    @Test func `it stands still, tells so, and goes on behind its last token with numbers that have no hole`() {
        var turn = running()
        _ = came(&turn, "a", ids: [7])
        _ = came(&turn, "b", ids: [0x80, 0x01])
        expect(lose(&turn), .init(givenBack: 62))
        #expect(turn.isInterrupted)
        #expect(turn.nextChoice == 0)
        #expect(turn.continuation == [7, 0x80, 0x01])
        begin(&turn)
        #expect(!turn.isInterrupted)
        #expect(turn.nextChoice == nil)
        _ = came(&turn, "c")
        expect(turn.finished(Finish(.reason(.stop), promptTokens: 3), at: at(5_000)).ending, .complete)
        let events = take(&turn)
        #expect(events.map(\.seq) == (0..<events.count).map { UInt64($0 + 2) })
        #expect(events.map(\.delta.text).joined() == "abc")
        #expect(events[2].paused.reason == .backendLost)
        #expect(events[3].event == .resumed(.init()))
        #expect(events.last?.usage.completionTokens == 3)
        #expect(events.last?.usage.promptTokens == 3)
    }

    @Test func `a scalar that the loss has cut goes on with its second half`() {
        var turn = running()
        _ = [UInt8(0xC3)].withUnsafeBytes { text in
            [UInt8(7)].withUnsafeBytes { ids in
                turn.came(TokenRunView(sequence: 0, tokenCount: 1, packedTokenIDs: ids, text: text), at: at(3_000))
            }
        }
        _ = lose(&turn)
        begin(&turn)
        _ = [UInt8(0xA9)].withUnsafeBytes { text in
            [UInt8(8)].withUnsafeBytes { ids in
                turn.came(TokenRunView(sequence: 0, tokenCount: 1, packedTokenIDs: ids, text: text), at: at(3_000))
            }
        }
        #expect(take(&turn).map(\.delta.text).joined() == "é")
    }

    @Test func `one whose backend cannot go on ends with the status of its loss`() {
        var turn = running(canContinue: false)
        _ = came(&turn, "a")
        guard case .failed(let status) = lose(&turn).ending else {
            Issue.record("it goes on")
            return
        }
        #expect(status.code == .unavailable)
    }

    @Test func `what a stop string has ended is only asked what it cost`() {
        var turn = running(stops: ["END"])
        expect(came(&turn, "a END"), .init(cancels: 0..<1))
        _ = lose(&turn)
        expect(
            turn.begun(Hearth_V1_Accepted(), canContinue: true, granted: 0, at: at(5_000)), .init(cancels: 0..<1))
        expect(turn.finished(Finish(.reason(.cancelled), promptTokens: 5), at: at(5_000)).ending, .complete)
        let events = take(&turn)
        #expect(events.dropLast().last?.finished.stop == "END")
        #expect(events.last?.usage.promptTokens == 5)
    }

    @Test func `one that is cancelled ends at once, whether it was lost before or after`() {
        var before = running()
        _ = came(&before, "a")
        _ = before.cancel(at: at(3_500))
        expect(lose(&before).ending, .complete)
        var after = running()
        _ = came(&after, "a")
        _ = lose(&after)
        expect(after.cancel(at: at(4_500)).ending, .complete)
        for var turn in [before, after] {
            let events = take(&turn)
            #expect(events.dropLast().last?.finished.reason == .cancelled)
            #expect(events.last?.usage.completionTokens == 1)
        }
    }

    @Test func `a pause by the owner does not end before both have ended`() {
        var turn = running()
        _ = lose(&turn)
        turn.paused(.owner, "later")
        expect(turn.resumed(), .init())
        begin(&turn)
        #expect(
            take(&turn).map(\.event) == [
                .paused(
                    .with {
                        $0.reason = .backendLost
                        $0.message = "the backend of 'm' was lost; it is being restarted, and the turn goes on then"
                    }),
                .resumed(.init()),
            ])
    }

    @Test
    func `under which two processes have failed at once is suspected, and refused where it was alone with the third`() {
        var turn = running()
        _ = lose(&turn)
        #expect(!turn.isSuspect)
        begin(&turn)
        _ = lose(&turn)
        #expect(turn.isSuspect)
        begin(&turn)
        // Others ran beside it.
        expect(lose(&turn).ending, nil)
        begin(&turn)
        guard case .failed(let status) = lose(&turn, wasAlone: true).ending else {
            Issue.record("it goes on")
            return
        }
        #expect(status.code == .internalError)
        #expect(status.message.contains("4 processes of 'm' in a row failed at this request"))
    }

    @Test func `one that is ended between two tokens over and over is not refused before that is no accident`() {
        var turn = running()
        for _ in 0..<8 {
            _ = came(&turn, "a")
            expect(lose(&turn, wasAlone: true).ending, nil)
            begin(&turn)
        }
        _ = came(&turn, "a")
        guard case .failed(let status) = lose(&turn, wasAlone: true).ending else {
            Issue.record("it goes on")
            return
        }
        #expect(status.code == .internalError)
    }

    @Test func `a process that takes several choices with it has failed once`() {
        var turn = running(choices: 3)
        for _ in 0..<2 { begin(&turn) }
        for choice in 0..<3 {
            let loss = TurnState.Loss(status: StatusMapping.lost(model: "m"))
            expect(turn.lost(choice: choice, loss, at: at(4_000)).ending, nil)
        }
        #expect(turn.failures == 1)
        for _ in 0..<3 { begin(&turn) }
        #expect(!turn.isInterrupted)
        // It tells of it once.
        #expect(take(&turn).count { $0.paused != .init() } == 1)
    }

    @Test func `one that gets on is not suspected, nor one whose process somebody has ended`() {
        var turn = running()
        for _ in 0..<10 {
            for _ in 0..<16 { _ = came(&turn, "a") }
            #expect(turn.isTrialOver)
            expect(lose(&turn, wasAlone: true).ending, nil)
            #expect(!turn.isSuspect)
            begin(&turn)
            #expect(!turn.isTrialOver)
        }
        for _ in 0..<10 {
            expect(lose(&turn, isFailure: false, wasAlone: true).ending, nil)
            begin(&turn)
        }
        #expect(!turn.isSuspect)
    }
}

struct ReturningTurnsTests {
    private final class Item {}

    @Test func `those that were lost go on in their order, before any other begins`() {
        var returning = ReturningTurns<Item>()
        #expect(!returning.holdOthersBack)
        let (a, b) = (Item(), Item())
        returning.interrupted(a, failures: nil)
        returning.interrupted(b, failures: nil)
        // Another choice of the same turn.
        returning.interrupted(b, failures: nil)
        #expect(returning.next === a)
        returning.began(a, wantsMore: true)
        #expect(returning.next === a)
        returning.began(a, wantsMore: false)
        #expect(returning.next === b)
        #expect(returning.holdOthersBack)
        returning.began(b, wantsMore: false)
        #expect(!returning.holdOthersBack)
    }

    @Test func `suspects are tried one after the other, the one with the most failures first`() {
        var returning = ReturningTurns<Item>()
        let (a, b, c) = (Item(), Item(), Item())
        returning.interrupted(a, failures: nil)
        returning.interrupted(b, failures: 2)
        returning.interrupted(c, failures: 3)
        #expect(returning.next === c)
        returning.began(c, wantsMore: true)
        #expect(returning.onTrial === c)
        #expect(returning.next == nil)
        returning.trialEnded()
        #expect(returning.next === b)
        returning.began(b, wantsMore: false)
        #expect(returning.next == nil)
        let hasMadeRoom = returning.forget(b)
        #expect(hasMadeRoom)
        // What else the first one wants comes after its trial.
        #expect(returning.next === c)
        returning.began(c, wantsMore: false)
        #expect(returning.next === a)
        // Its process was lost once more.
        returning.interrupted(c, failures: 4)
        returning.began(c, wantsMore: false)
        returning.interrupted(c, failures: nil)
        #expect(returning.onTrial == nil)
    }

    @Test func `all that wait can be taken out, each once`() {
        var returning = ReturningTurns<Item>()
        let (a, b) = (Item(), Item())
        returning.interrupted(a, failures: nil)
        returning.interrupted(b, failures: 2)
        let dismissed = returning.dismissAll().map(ObjectIdentifier.init)
        #expect(dismissed == [b, a].map(ObjectIdentifier.init))
        #expect(!returning.areWaiting)
        let hadRoom = returning.forget(a)
        #expect(!hadRoom)
    }
}

struct TokenLogTests {
    @Test func `the ids come out as they went in, however long they and their runs are`() {
        let runs: [[UInt8]] = [
            [7], [0x80, 0x01], [0xFF, 0xFF, 0x03], Array(repeating: 0x80, count: 63) + [1], [0x80, 0x02],
            Array(repeating: 5, count: 300), [], [9, 0x81, 0x01],
        ]
        var log = TokenLog()
        var all: [UInt8] = []
        for round in 0..<200 {
            let run = runs[round * 7 % runs.count]
            run.withUnsafeBytes { log.append($0) }
            all += run
            #expect(log.byteCount == all.count)
        }
        #expect(log.packed == all)
        let ids = all.count { $0 < 0x80 }
        #expect(log.hasIDs(ids, behind: 0))
        #expect(!log.hasIDs(ids + all.count, behind: 0))
        for length in 0..<40 {
            let ids = all.suffix(length).count { $0 < 0x80 }
            #expect(log.hasIDs(ids, behind: all.count - length))
            // Only a run of ids of five bytes each could have one fewer.
            if length < 5 * (ids + 1) { #expect(!log.hasIDs(ids + 1, behind: all.count - length)) }
        }
        log.removeAll()
        #expect(log.packed.isEmpty)
    }
}
