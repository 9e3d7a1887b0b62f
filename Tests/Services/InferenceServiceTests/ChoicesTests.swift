import BackendIPC
import GRPC
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

@testable import InferenceService

/// Turns of several choices.
struct ChoicesTests {
    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    private func turn(_ choices: UInt32 = 3, stops: [String] = [], limits: InferenceLimits? = nil) -> TurnState {
        var request = TurnRequest()
        request.requestID = "r"
        request.choices = choices
        request.stopping.stop = stops
        return TurnState(
            request, model: "m", creditTokens: 8, limits: limits ?? InferenceLimits(), arrived: at(1_000))
    }

    /// One whose first `begun` choices have begun, and whose `Accepted` was taken.
    private func running(_ choices: UInt32 = 3, begun: Int, stops: [String] = []) -> TurnState {
        var turn = turn(choices, stops: stops)
        for _ in 0..<begun { expect(turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(2_000)), .init()) }
        _ = take(&turn)
        return turn
    }

    /// `#expect` cannot call what mutates.
    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }

    private func came(_ turn: inout TurnState, _ text: String, _ choice: Int, tokens: Int = 1) -> TurnState.Actions {
        Array(text.utf8).withUnsafeBytes { text in
            (0..<tokens).map { UInt8(7 + $0) }.withUnsafeBytes { ids in
                turn.came(
                    TokenRunView(sequence: 0, tokenCount: tokens, packedTokenIDs: ids, text: text), choice: choice,
                    at: at(3_000))
            }
        }
    }

    private func take(_ turn: inout TurnState) -> [Hearth_V1_ChatEvent] { turn.takeEvents() }

    private func finish(_ reason: FinishReason = .stop, prompt: UInt32 = 10, cached: UInt32 = 0) -> Finish {
        Finish(.reason(reason), promptTokens: prompt, cachedPromptTokens: cached)
    }

    private func wanted(_ turn: inout TurnState, _ choice: Int) -> UInt32 {
        turn.wanted(choice: choice, isCongested: false, takenBytes: 0, at: at(3_000))
    }

    @Test func `each choice has its own text and end, and the turn its events in a row and one Usage`() {
        var turn = turn(2)
        expect(turn.nextChoice, 0)
        expect(turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(1_500)), .init())
        expect(turn.nextChoice, 1)
        expect(turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(1_600)), .init())
        expect(turn.nextChoice, nil)
        expect(came(&turn, "a", 0), .init())
        expect(came(&turn, "bc", 1, tokens: 2), .init())
        expect(came(&turn, "d", 0), .init())
        expect(turn.finished(finish(.length, cached: 2), choice: 0, at: at(3_500)), .init(givenBack: 6, charged: 8))
        expect(turn.phase, .running)
        expect(came(&turn, "e", 1), .init())
        expect(
            turn.finished(finish(cached: 9), choice: 1, at: at(4_000)),
            .init(givenBack: 5, charged: 1, ending: .complete))
        let events = take(&turn)
        #expect(events.map(\.seq) == Array(1...8))
        #expect(events.map(\.choice) == [0, 0, 1, 0, 0, 1, 1, 0])
        #expect(events[1...5].map(\.delta.text) == ["a", "bc", "d", "", "e"])
        #expect(events[4].finished.reason == .length)
        #expect(events[6].finished.reason == .stop)
        let usage = events[7].usage
        #expect(usage.promptTokens == 10)
        #expect(usage.cachedPromptTokens == 2)
        #expect(usage.completionTokens == 5)
        #expect(usage.choices.map(\.completionTokens) == [2, 3])
        #expect(usage.choices.map(\.cachedPromptTokens) == [2, 9])
    }

    @Test func `a single choice has no place in usage of its own`() {
        var turn = running(1, begun: 1)
        _ = came(&turn, "a", 0)
        expect(turn.finished(finish(), at: at(3_500)).ending, .complete)
        #expect(take(&turn).last?.usage.choices == [])
    }

    @Test func `a stop string ends its choice only`() {
        var turn = running(begun: 3, stops: ["x"])
        expect(came(&turn, "ax", 1), .init(cancels: 1..<2))
        expect(came(&turn, "late", 1), .init(givenBack: 1))
        expect(wanted(&turn, 1), 0)
        expect(came(&turn, "b", 2), .init())
        expect(turn.finished(finish(.cancelled), choice: 1, at: at(3_000)), .init(givenBack: 6, charged: 10))
        let events = take(&turn)
        #expect(events.map(\.choice) == [1, 2, 1])
        #expect(events[2].finished.stop == "x")
        expect(came(&turn, "c", 0), .init())
    }

    @Test func `each choice has its own credit`() {
        var turn = running(begun: 2)
        for choice in [0, 1] { expect(wanted(&turn, choice), 0) }
        _ = came(&turn, "abcdef", 1, tokens: 6)
        expect(wanted(&turn, 0), 0)
        expect(wanted(&turn, 1), 6)
        turn.granted(6, choice: 1)
        expect(wanted(&turn, 1), 0)
        _ = came(&turn, "abcdefgh", 1, tokens: 8)
        #expect(turn.hasNoCredit(choice: 0) == false)
        // A choice that has not begun wants its credit with its sequence.
        expect(wanted(&turn, 2), 8)
    }

    @Test func `what a turn may compute ahead is shared among its choices`() {
        let limits = InferenceLimits()
        for logprobs in [nil, 0, 20] as [UInt32?] {
            let one = TurnCredit.most(limits, logprobs: logprobs)
            let sixteen = TurnCredit.most(limits, logprobs: logprobs, choices: 16)
            #expect(sixteen >= 1)
            #expect(sixteen * 16 <= one)
        }
    }

    @Test func `a choice that waits begins when it can, also after others have ended`() {
        var turn = running(2, begun: 1)
        _ = came(&turn, "a", 0)
        expect(turn.finished(finish(), choice: 0, at: at(3_000)).ending, nil)
        expect(turn.nextChoice, 1)
        expect(turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(3_100)), .init())
        _ = came(&turn, "b", 1)
        expect(turn.finished(finish(cached: 10), choice: 1, at: at(3_500)).ending, .complete)
        let events = take(&turn)
        #expect(events.map(\.choice) == [0, 0, 1, 1, 0])
        #expect(events.filter { $0.accepted != .init() }.isEmpty)
    }

    @Test func `a cancel ends those that run and those that wait, and leaves what a stop has ended`() {
        var turn = running(4, begun: 3, stops: ["x"])
        _ = came(&turn, "x", 0)
        expect(turn.cancel(at: at(3_000)), .init(cancels: 1..<3))
        expect(turn.cancel(at: at(3_000)), .init())
        expect(turn.nextChoice, nil)
        for choice in 0..<3 { expect(wanted(&turn, choice), 0) }
        expect(turn.finished(finish(.cancelled), choice: 0, at: at(3_000)).ending, nil)
        expect(turn.finished(finish(.cancelled), choice: 2, at: at(3_000)).ending, nil)
        expect(turn.finished(finish(.cancelled), choice: 1, at: at(3_000)).ending, .complete)
        let ends = take(&turn).filter { $0.finished != .init() }
        #expect(ends.map(\.choice) == [3, 0, 2, 1])
        #expect(ends.map(\.finished.reason) == [.cancelled, .stop, .cancelled, .cancelled])
    }

    @Test func `a cancel while it waits ends all choices at once`() {
        var turn = turn()
        expect(turn.cancel(at: at(2_000)), .init(ending: .complete))
        let events = take(&turn)
        #expect(events.map(\.choice) == [0, 1, 2, 0])
        #expect(events.last?.usage.choices.count == 3)
    }

    @Test func `a fault or a loss of one choice ends the turn, and the others with it`() {
        var faulty = running(begun: 3)
        let end = faulty.finished(Finish(.fault(Fault(.invalidArgument, "bad"))), choice: 1, at: at(3_000))
        #expect(end.cancels == 0..<3)
        #expect(end.givenBack == 24)
        guard case .failed(let status) = end.ending else {
            Issue.record("the turn goes on: \(end)")
            return
        }
        #expect(status.code == .invalidArgument)
        expect(came(&faulty, "late", 0), .init())
        #expect(take(&faulty).allSatisfy { $0.usage == .init() })

        var lost = running(2, begun: 2)
        _ = lost.finished(finish(), choice: 0, at: at(2_500))
        let loss = lost.lost(choice: 1, .init(status: StatusMapping.lost(model: "m")), at: at(3_500))
        #expect(loss.cancels.isEmpty)
        guard case .failed(let status) = loss.ending else {
            Issue.record("the turn goes on: \(loss)")
            return
        }
        #expect(status.code == .unavailable)
        expect(lost.lost(choice: 0, .init(status: StatusMapping.lost(model: "m")), at: at(3_500)), .init())
    }

    @Test func `what ends a turn from outside ends all that runs`() {
        var failed = running(begun: 2)
        expect(failed.fail(Status(.resourceExhausted)).cancels, 0..<3)
        expect(failed.nextChoice, nil)
        var gone = running(begun: 2)
        expect(gone.abandon(), .init(cancels: 0..<3, givenBack: 16, ending: .abandoned))
    }

    @Test func `where there is no room for an event all choices end`() {
        var limits = InferenceLimits()
        limits.turnEventsMax = 3
        var turn = turn(2, limits: limits)
        for _ in 0..<2 { _ = turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(2_000)) }
        _ = came(&turn, "a", 0)
        _ = came(&turn, "b", 1)
        let end = came(&turn, "c", 1)
        #expect(end.cancels == 0..<2)
        guard case .failed(let status) = end.ending else {
            Issue.record("the turn goes on: \(end)")
            return
        }
        #expect(status.code == .resourceExhausted)
    }
}
