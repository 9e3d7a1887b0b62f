import BackendIPC
import GRPC
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

@testable import InferenceService

struct TurnStateTests {
    private let limits = InferenceLimits()

    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    /// One that came at the moment 1,000 and waits.
    private func turn(
        stops: [String] = [], ids: Bool = false, logprobs: UInt32? = nil, credit: UInt32 = 8,
        limits: InferenceLimits? = nil, wantsQueueEvents: Bool = true
    ) -> TurnState {
        var request = TurnRequest()
        request.requestID = "r"
        request.wantsQueueEvents = wantsQueueEvents
        request.wantsTokenIDs = ids
        request.logprobs = logprobs
        request.stopping.stop = stops
        return TurnState(
            request, model: "m", creditTokens: credit, limits: limits ?? self.limits, arrived: at(1_000))
    }

    /// One that has begun at the moment 2,000, with its whole credit, and whose `Accepted` was taken.
    private func running(
        stops: [String] = [], ids: Bool = false, logprobs: UInt32? = nil, credit: UInt32 = 8,
        limits: InferenceLimits? = nil
    ) -> TurnState {
        var turn = turn(stops: stops, ids: ids, logprobs: logprobs, credit: credit, limits: limits)
        expect(turn.begun(Hearth_V1_Accepted(), granted: credit, at: at(2_000)), .init())
        _ = take(&turn)
        return turn
    }

    private enum Phase: CaseIterable { case waiting, running, stopped, cancelled, over }

    private func turn(in phase: Phase) -> TurnState {
        switch phase {
        case .waiting: return turn()
        case .running: return running()
        case .stopped:
            var turn = running(stops: ["x"])
            _ = came(&turn, "x")
            return turn
        case .cancelled:
            var turn = running()
            _ = turn.cancel(at: at(2_500))
            return turn
        case .over:
            var turn = running()
            _ = turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(3_500))
            return turn
        }
    }

    /// `#expect` cannot call what mutates.
    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }

    /// Tokens with ids that count from 7, each of one byte.
    private func came(
        _ turn: inout TurnState, _ text: String, tokens: Int = 1, at milliseconds: UInt64 = 3_000
    ) -> TurnState.Actions {
        came(&turn, Array(text.utf8), tokens: tokens, at: milliseconds)
    }

    private func came(
        _ turn: inout TurnState, _ text: [UInt8], tokens: Int = 1, at milliseconds: UInt64 = 3_000
    ) -> TurnState.Actions {
        text.withUnsafeBytes { text in
            (0..<tokens).map { UInt8(7 + $0) }.withUnsafeBytes { ids in
                turn.came(
                    TokenRunView(sequence: 0, tokenCount: tokens, packedTokenIDs: ids, text: text), at: at(milliseconds)
                )
            }
        }
    }

    private func wanted(_ turn: inout TurnState, isCongested: Bool = false) -> UInt32 {
        turn.wanted(isCongested: isCongested, takenBytes: 0, at: at(3_000))
    }

    private func take(_ turn: inout TurnState, byteCount: Int = .max) -> [Hearth_V1_ChatEvent] {
        turn.takeEvents(byteCount: byteCount)
    }

    private func finish(_ reason: FinishReason = .stop, prompt: UInt32 = 0, cached: UInt32 = 0) -> Finish {
        Finish(.reason(reason), promptTokens: prompt, cachedPromptTokens: cached)
    }

    private func code(_ actions: TurnState.Actions) -> Status.Code? {
        if case .failed(let status) = actions.ending { status.code } else { nil }
    }
}

// MARK: - From the request to Usage

extension TurnStateTests {
    @Test func `a turn tells its place, who has taken it, its text, its end and what it cost`() {
        var turn = turn()
        turn.queued(position: 3)
        var accepted = Hearth_V1_Accepted()
        accepted.backend = "echo/1"
        expect(turn.begun(accepted, granted: 8, at: at(1_500)), .init())
        expect(came(&turn, "héllo", tokens: 2, at: 1_700), .init())
        expect(came(&turn, " you", tokens: 3, at: 1_950), .init())
        var finish = finish(.length, prompt: 10, cached: 4)
        (finish.draftedTokens, finish.acceptedDraftTokens) = (9, 6)
        let end = turn.finished(finish, at: at(2_000))
        expect(end, .init(givenBack: 3, charged: 6, ending: .complete))
        #expect(turn.phase == .over)

        let events = take(&turn)
        #expect(events.map(\.seq) == Array(1...6))
        #expect(events[0].queued.position == 3)
        #expect(events[1].accepted.requestID == "r")
        #expect(events[1].accepted.model == "m")
        #expect(events[1].accepted.backend == "echo/1")
        #expect(events[2].delta.text == "héllo")
        #expect(events[2].delta.tokenCount == 2)
        #expect(events[2].delta.tokenIds.isEmpty)
        #expect(events[3].delta.tokenCount == 3)
        #expect(events[4].finished.reason == .length)
        let usage = events[5].usage
        #expect(usage.promptTokens == 10)
        #expect(usage.cachedPromptTokens == 4)
        #expect(usage.completionTokens == 5)
        #expect(usage.draftedTokens == 9 && usage.acceptedDraftTokens == 5, "no more than were sent")
        #expect(usage.queueTime.nanos == 500_000_000)
        #expect(usage.timeToFirstToken.nanos == 700_000_000)
        #expect(usage.decodeTime.nanos == 250_000_000)
    }

    @Test func `a turn that stands still says why once, and that it goes on, wherever it is, and only until its end`() {
        for phase in Phase.allCases {
            var turn = turn(in: phase)
            _ = take(&turn)
            expect(turn.resumed(), .init())
            turn.paused(.owner, "why")
            turn.paused(.owner, "why")
            let told = take(&turn)
            #expect(told.map(\.paused.message) == (phase == .over ? [] : ["why"]), "\(phase)")
            #expect(told.allSatisfy { $0.paused.reason == .owner })
            expect(turn.resumed(), .init())
            expect(turn.resumed(), .init())
            #expect(take(&turn).map(\.event) == (phase == .over ? [] : [.resumed(.init())]), "\(phase)")
        }
    }

    @Test func `a turn stands still between its events, which are numbered as before`() {
        var turn = running()
        _ = came(&turn, "a")
        turn.paused(.owner, "why")
        _ = came(&turn, "b")
        _ = turn.resumed()
        _ = came(&turn, "c")
        let events = take(&turn)
        #expect(events.map(\.seq) == Array(2...6))
        #expect(events.map(\.delta.text) == ["a", "", "b", "", "c"])
    }

    @Test func `an owner who pauses without end does not fill the ring of a turn that nobody reads`() {
        var turn = running()
        for _ in 0..<limits.turnEventsMax {
            turn.paused(.owner, "why")
            expect(turn.resumed(), .init())
        }
        #expect(turn.phase == .running && turn.ring.isHalfFull)
        #expect(turn.ring.eventCount <= limits.turnEventsMax / 2 + 2)
    }

    @Test func `who asks for ids gets those of every token, once`() {
        var turn = running(ids: true)
        _ = came(&turn, "ab", tokens: 2)
        // The first has a part of a character only; both are told with the rest of it.
        _ = came(&turn, [0xc3])
        _ = came(&turn, [0xa9], tokens: 2)
        let deltas = take(&turn).map(\.delta)
        #expect(deltas.map(\.text) == ["ab", "é"])
        #expect(deltas.map(\.tokenCount) == [2, 3])
        #expect(deltas.map(\.tokenIds) == [[7, 8], [7, 7, 8]])
    }

    @Test func `tokens without text wait for the next that has some, but not for ever`() {
        var turn = running(credit: 10_000)
        for _ in 1..<ChoiceState.pendingTokensMax { _ = came(&turn, "") }
        #expect(take(&turn).isEmpty)
        _ = came(&turn, "")
        _ = came(&turn, "")
        _ = came(&turn, "a", tokens: 2)
        let deltas = take(&turn).map(\.delta)
        #expect(deltas.map(\.tokenCount) == [ChoiceState.pendingTokensMax, 3])
        #expect(deltas.map(\.text) == ["", "a"])
    }

    @Test func `what is held back is told at the end`() {
        var turn = running(stops: ["abc"])
        _ = came(&turn, "xab", tokens: 3)
        _ = came(&turn, [0xe2, 0x82])
        _ = turn.finished(finish(), at: at(4_000))
        let events = take(&turn)
        #expect(events.map(\.delta.text).joined() == "xab\u{fffd}")
        #expect(events.last?.usage.completionTokens == 4)
    }

    /// Tokens of which this is the text, and this the reasoning.
    private func came(_ turn: inout TurnState, _ text: String, reasoning: [UInt8], tokens: Int = 1) {
        var text = text
        let actions = text.withUTF8 { text in
            reasoning.withUnsafeBytes { RareParts(reasoning: $0).encoded }.withUnsafeBytes { rare in
                (0..<tokens).map { UInt8(7 + $0) }.withUnsafeBytes { ids in
                    turn.came(
                        TokenRunView(
                            sequence: 0, tokenCount: tokens, packedTokenIDs: ids,
                            text: UnsafeRawBufferPointer(text), rare: rare), at: at(3_000))
                }
            }
        }
        expect(actions, .init())
    }

    @Test func `reasoning is told apart, each delta with one of the two, and no token is lost or told twice`() {
        var turn = running(ids: true)
        came(&turn, "", reasoning: Array("Let me ".utf8), tokens: 2)
        // A scalar in two tokens, then one without any text.
        came(&turn, "", reasoning: [0xc3])
        came(&turn, "", reasoning: [0xa9])
        _ = came(&turn, "")
        came(&turn, "Yes", reasoning: Array("!".utf8))
        _ = came(&turn, ".")
        _ = turn.finished(finish(), at: at(4_000))
        let events = take(&turn)
        let deltas = events.dropLast(2).map(\.delta)
        #expect(deltas.map(\.reasoning) == ["Let me ", "é", "!", "", ""])
        #expect(deltas.map(\.text) == ["", "", "", "Yes", "."])
        #expect(deltas.map(\.tokenCount) == [2, 2, 2, 0, 1])
        #expect(deltas.map(\.tokenIds) == [[7, 8], [7, 7], [7, 7], [], [7]])
        #expect(events.last?.usage.completionTokens == 7)
    }

    /// One token with this text, this reasoning, and these pieces of calls.
    @discardableResult
    private func came(
        _ turn: inout TurnState, _ text: String, reasoning: String = "", calls: Hearth_V1_ToolCallPieces
    ) -> TurnState.Actions {
        let calls: [UInt8] = (try? calls.serializedBytes()) ?? []
        let rare = Array(reasoning.utf8).withUnsafeBytes { reasoning in
            calls.withUnsafeBytes { RareParts(reasoning: reasoning, toolCalls: $0).encoded }
        }
        return Array(text.utf8).withUnsafeBytes { text in
            rare.withUnsafeBytes { rare in
                [7 as UInt8].withUnsafeBytes { ids in
                    turn.came(
                        TokenRunView(sequence: 0, tokenCount: 1, packedTokenIDs: ids, text: text, rare: rare),
                        at: at(3_000))
                }
            }
        }
    }

    private var call: Hearth_V1_ToolCallPieces {
        .with { $0.pieces = [.with { ($0.id, $0.name, $0.arguments) = ("a", "get", "{") }] }
    }
    private var rest: Hearth_V1_ToolCallPieces { .with { $0.pieces = [.with { $0.arguments = "}" }] } }

    @Test func `tool calls come behind text, no token is lost, and the reason says so`() {
        var turn = running(ids: true)
        _ = came(&turn, "I look.")
        _ = came(&turn, "")
        came(&turn, " So:", reasoning: "Hm.", calls: call)
        came(&turn, "", calls: rest)
        _ = turn.finished(finish(), at: at(4_000))
        let events = take(&turn)
        let deltas = events.dropLast(2).map(\.delta)
        #expect(deltas.map(\.text) == ["I look.", "", " So:", "", ""])
        #expect(deltas.map(\.reasoning) == ["", "Hm.", "", "", ""])
        #expect(deltas.map(\.toolCalls) == [.init(), .init(), .init(), call, rest])
        #expect(deltas.map(\.tokenCount) == [1, 2, 0, 0, 1])
        #expect(deltas.flatMap(\.tokenIds) == [7, 7, 7, 7])
        #expect(events.dropLast().last?.finished.reason == .toolCalls)
        #expect(events.last?.usage.completionTokens == 4)
    }

    @Test(
        arguments: [
            (Finish(.reason(.length)), .length), (Finish(.reason(.stop), stopTokenID: 7), .stop),
            (Finish(.reason(.stop), stop: 0), .stop), (Finish(.reason(.cancelled)), .cancelled),
        ] as [(Finish, Hearth_V1_FinishReason)])
    func `calls that something else has ended have that reason`(finish: Finish, reason: Hearth_V1_FinishReason) {
        var turn = running(stops: ["x"])
        came(&turn, "", calls: call)
        _ = turn.finished(finish, at: at(4_000))
        #expect(take(&turn).dropLast().last?.finished.reason == reason)
    }

    @Test func `what comes behind a stop string is not sent`() {
        var turn = running(stops: ["stop"])
        let actions = came(&turn, "a stop", calls: call)
        #expect(actions.cancels == 0..<1)
        _ = turn.finished(finish(.cancelled), at: at(4_000))
        let events = take(&turn)
        #expect(events.allSatisfy { !$0.delta.hasToolCalls })
        #expect(events.dropLast().last?.finished.reason == .stop)
    }

    /// Tokens with these ids and texts, each with a log-probability that is its number, and one alternative.
    private func came(_ turn: inout TurnState, _ tokens: [(id: UInt8, text: [UInt8])], reasoning: [UInt8] = []) {
        let entries = Hearth_V1_Logprobs.with {
            $0.tokens = tokens.map { token in
                .with {
                    $0.tokenID = UInt32(token.id)
                    $0.logprob = -Float(token.id)
                    $0.alternatives = [.with { $0.tokenID = 1 }]
                }
            }
        }
        do {
            let entries: [UInt8] = try entries.serializedBytes()
            let actions = tokens.map(\.id).withUnsafeBytes { ids in
                tokens.flatMap(\.text).withUnsafeBytes { text in
                    reasoning.withUnsafeBytes { reasoning in
                        entries.withUnsafeBytes { RareParts(reasoning: reasoning, logprobs: $0).encoded }
                    }.withUnsafeBytes { rare in
                        turn.came(
                            TokenRunView(
                                sequence: 0, tokenCount: tokens.count, packedTokenIDs: ids, text: text, rare: rare),
                            at: at(3_000))
                    }
                }
            }
            expect(actions, .init())
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test(arguments: [false, true])
    func `log-probabilities come with the delta that counts their tokens, one for each`(ids: Bool) {
        var turn = running(stops: ["abc"], ids: ids, logprobs: 1)
        came(&turn, [(7, Array("x".utf8)), (8, Array("y".utf8))])
        // Held back: the beginning of a stop, a part of a character, no text at all.
        came(&turn, [(9, Array("ab".utf8))])
        came(&turn, [(10, [0xc3])])
        came(&turn, [(11, [0xa9])])
        came(&turn, [(12, [])])
        came(&turn, [(13, [0xe2])], reasoning: Array("hm".utf8))
        _ = turn.finished(finish(), at: at(4_000))
        let deltas = take(&turn).dropLast(2).map(\.delta)
        #expect(deltas.map(\.text) == ["xy", "abé", "", "\u{fffd}"])
        #expect(deltas.map(\.reasoning) == ["", "", "hm", ""])
        #expect(deltas.map(\.tokenCount) == [2, 3, 2, 0])
        #expect(deltas.map { $0.logprobs.tokens.map(\.tokenID) } == [[7, 8], [9, 10, 11], [12, 13], []])
        #expect(deltas.map(\.tokenIds) == (ids ? [[7, 8], [9, 10, 11], [12, 13], []] : [[], [], [], []]))
        #expect(deltas[1].logprobs.tokens.map(\.logprob) == [-9, -10, -11])
        #expect(deltas[1].logprobs.tokens.allSatisfy { $0.alternatives.map(\.tokenID) == [1] })
    }

    @Test func `log-probabilities that wait for text are bounded`() {
        var limits = limits
        limits.pendingLogprobBytesMax = 100
        var turn = running(logprobs: 1, credit: 1_000, limits: limits)
        for _ in 0..<60 { came(&turn, [(7, [])]) }
        let deltas = take(&turn).map(\.delta)
        #expect(deltas.count > 5)
        #expect(deltas.allSatisfy { $0.logprobs.tokens.count == Int($0.tokenCount) && $0.tokenCount < 20 })
    }

    @Test func `reasoning that breaks off inside a character is told at the end`() {
        var turn = running()
        came(&turn, "", reasoning: [0x61, 0xe2])
        _ = turn.finished(finish(.length), at: at(4_000))
        #expect(take(&turn).map(\.delta.reasoning).joined() == "a\u{fffd}")
    }

    @Test func `stops are left to a backend that looks for them, and the one that it met is named`() {
        var turn = turn(stops: ["x", "yz"])
        expect(turn.begun(Hearth_V1_Accepted(), matchesStops: true, granted: 8, at: at(2_000)), .init())
        expect(came(&turn, "xy"), .init())
        _ = turn.finished(Finish(.reason(.stop), stop: 1), at: at(4_000))
        let events = take(&turn)
        #expect(events.map(\.delta.text).joined() == "xy")
        #expect(events.dropLast().last?.finished.stop == "yz")
        #expect(events.dropLast().last?.finished.reason == .stop)
    }

    @Test func `times that did not come are not told`() {
        var turn = running()
        _ = turn.finished(finish(), at: at(4_000))
        let usage = take(&turn).last?.usage
        #expect(usage?.hasTimeToFirstToken == false)
        #expect(usage?.hasDecodeTime == false)
        #expect(usage?.queueTime.seconds == 1)
    }

    @Test func `a stop token that ended it is named`() {
        var turn = running()
        _ = turn.finished(Finish(.reason(.stop), stopTokenID: 42), at: at(4_000))
        #expect(take(&turn).first?.finished.stopTokenID == 42)
    }
}

// MARK: - Waiting

extension TurnStateTests {
    @Test func `a place is told only when the one before was taken, and only while it waits`() {
        var turn = turn()
        turn.queued(position: 5)
        turn.queued(position: 4)
        #expect(take(&turn).map(\.queued.position) == [5])
        turn.queued(position: 3, loaded: 0.5)
        let told = take(&turn).map(\.queued)
        #expect(told.map(\.position) == [3] && told.map(\.loadedFraction) == [0.5])
        #expect(told.map(\.hasEstimatedWait) == [false])
        turn.queued(position: 2, waitMilliseconds: 61_250)
        let wait = take(&turn).map(\.queued.estimatedWait)
        #expect(wait.map(\.seconds) == [61] && wait.map(\.nanos) == [250_000_000])
        for phase in Phase.allCases where phase != .waiting {
            var turn = self.turn(in: phase)
            _ = take(&turn)
            turn.queued(position: 1)
            #expect(turn.ring.isEmpty, "\(phase)")
        }
    }

    @Test func `one that does not want to hear what happens in the queue hears nothing before it runs`() {
        var turn = turn(wantsQueueEvents: false)
        turn.queued(position: 5)
        turn.paused(.owner, "")
        expect(turn.resumed(), .init())
        #expect(turn.ring.isEmpty)
        expect(turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(2_000)), .init())
        turn.paused(.owner, "")
        expect(turn.resumed(), .init())
        let events = take(&turn)
        #expect(events.count == 3)
        #expect(events.first?.accepted.requestID == "r")
        #expect(events.dropFirst().first?.paused.reason == .owner)
        #expect(events.last?.event == .resumed(.init()))
    }

    @Test func `one that is cancelled before it begins ends at once, and does not begin`() {
        var turn = turn()
        expect(turn.cancel(at: at(1_250)), .init(ending: .complete))
        expect(turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(2_000)), .init())
        let events = take(&turn)
        #expect(events.count == 2)
        #expect(events.first?.finished.reason == .cancelled)
        #expect(events.last?.usage.completionTokens == 0)
        #expect(events.last?.usage.queueTime.nanos == 250_000_000)
    }

    @Test func `one whose time is over, or whose call is gone, computes nothing that would have to be cancelled`() {
        var late = turn()
        let status = Status(.resourceExhausted, "max_queue_time")
        expect(late.fail(status), .init(ending: .failed(status)))
        var gone = turn()
        expect(gone.abandon(), .init(ending: .abandoned))
        #expect(gone.ring.isEmpty)
    }
}

// MARK: - Credit

extension TurnStateTests {
    @Test func `a turn begins without credit on a call that is congested, and gets it when the call is not`() {
        var turn = turn()
        expect(wanted(&turn, isCongested: true), 0)
        expect(turn.begun(Hearth_V1_Accepted(), granted: 0, at: at(2_000)), .init())
        #expect(turn.hasNoCredit())
        expect(wanted(&turn, isCongested: true), 0)
        expect(wanted(&turn), 8)
        turn.granted(8)
        #expect(!turn.hasNoCredit())
        expect(wanted(&turn), 0)
    }

    @Test func `it computes as far ahead as it may, in steps of half of that, and not while its consumer lags`() {
        var turn = running()
        _ = came(&turn, "abc", tokens: 3)
        expect(wanted(&turn), 0)
        _ = came(&turn, "d")
        expect(wanted(&turn, isCongested: true), 0)
        expect(wanted(&turn), 4)
        turn.granted(1)
        expect(wanted(&turn), 0)
    }

    @Test func `a minute that is used up stops it, and one that has room lets it go on`() {
        var turn = running(credit: 2)
        _ = came(&turn, "ab", tokens: 2)
        expect(wanted(&turn), 2)
        turn.granted(0)
        #expect(turn.hasNoCredit())
        expect(wanted(&turn), 2)
        turn.granted(2)
        #expect(!turn.hasNoCredit())
    }

    @Test func `a ring that nobody reads gives no credit once it is half full`() {
        var limits = limits
        limits.turnEventsMax = 8
        var turn = running(credit: 1, limits: limits)
        for _ in 0..<4 {
            _ = came(&turn, "a")
            expect(wanted(&turn), 1)
            turn.granted(1)
        }
        _ = came(&turn, "a")
        expect(wanted(&turn), 0)
        _ = take(&turn, byteCount: 1)
        expect(wanted(&turn), 1)
    }

    @Test(arguments: [Phase.stopped, .cancelled, .over])
    private func `a turn that comes to its end wants nothing more`(_ phase: Phase) {
        var turn = turn(in: phase)
        expect(wanted(&turn), 0)
    }

    @Test func `what was granted and did not come is given back, once`() {
        for phase in Phase.allCases {
            var turn = turn(in: phase)
            let granted: UInt32 =
                switch phase {
                case .waiting, .over: 0
                case .stopped: 7
                case .running, .cancelled: 8
                }
            expect(turn.abandon().givenBack, granted)
            expect(turn.abandon().givenBack, 0)
        }
    }
}

// MARK: - Unread

extension TurnStateTests {
    private func unread(
        _ turn: inout TurnState, _ isCongested: Bool, taken: UInt64 = 0, at milliseconds: UInt64
    ) -> Monotonic? {
        turn.unreadSince(isCongested: isCongested, takenBytes: taken, at: at(milliseconds))
    }

    @Test func `the time in which a turn stands still begins with what makes it stand still`() {
        var turn = running()
        _ = turn.wanted(isCongested: true, takenBytes: 0, at: at(3_000))
        expect(unread(&turn, true, at: 9_000), at(3_000))
        expect(unread(&turn, true, taken: UInt64(limits.unreadBytesMin), at: 9_500), at(9_500))
        expect(unread(&turn, false, at: 9_600), nil)
    }

    @Test func `while it waits it stands in nobody's way`() {
        var turn = turn()
        expect(wanted(&turn, isCongested: true), 0)
        expect(unread(&turn, true, at: 3_000), nil)
        _ = turn.begun(Hearth_V1_Accepted(), granted: 0, at: at(5_000))
        expect(unread(&turn, true, at: 6_000), at(6_000))
        _ = turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(3_500))
        expect(unread(&turn, true, at: 7_000), nil)
    }
}

// MARK: - Stops

extension TurnStateTests {
    @Test func `a stop ends the text at once, and what comes after it is neither told nor paid`() {
        var turn = running(stops: ["END"])
        expect(came(&turn, "ab E"), .init())
        expect(came(&turn, "NDxyz", tokens: 2), .init(cancels: 0..<1))
        expect(came(&turn, "more", tokens: 3), .init(givenBack: 3))
        // The consumer's own cancel finds nothing to do.
        expect(turn.cancel(at: at(3_500)), .init())
        expect(turn.finished(finish(.cancelled), at: at(4_000)), .init(givenBack: 2, ending: .complete))
        let events = take(&turn)
        #expect(events.map(\.delta.text).joined() == "ab ")
        let finished = events[events.count - 2].finished
        #expect(finished.reason == .stop)
        #expect(finished.stop == "END")
        #expect(events.last?.usage.completionTokens == 3)
    }

    @Test(arguments: [Finish.Outcome.fault(Fault(.internal, "broke")), .unspecified])
    func `a backend that fails after the stop has failed in nothing`(_ outcome: Finish.Outcome) {
        var turn = running(stops: ["x"])
        _ = came(&turn, "x")
        expect(turn.finished(Finish(outcome), at: at(4_000)).ending, .complete)
        #expect(take(&turn).dropLast().last?.finished.reason == .stop)
    }

    @Test func `a backend that is lost after the stop has not said what the turn cost`() {
        var turn = running(stops: ["x"])
        _ = came(&turn, "x")
        expect(code(turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(3_500))), .unavailable)
    }
}

// MARK: - The end

extension TurnStateTests {
    @Test func `a cancel is said once, and the turn ends when the backend has heard it`() {
        var turn = running()
        _ = came(&turn, "a")
        expect(turn.cancel(at: at(3_000)), .init(cancels: 0..<1))
        expect(turn.cancel(at: at(3_001)), .init())
        // On its way already: it was computed, and is told.
        expect(came(&turn, "b"), .init())
        expect(
            turn.finished(finish(.cancelled, prompt: 3), at: at(4_000)),
            .init(givenBack: 6, charged: 3, ending: .complete))
        let events = take(&turn)
        #expect(events.map(\.delta.text).joined() == "ab")
        #expect(events.dropLast().last?.finished.reason == .cancelled)
    }

    @Test(arguments: [
        (Finish.Outcome.fault(Fault(.contextOverflow, "too long")), Status.Code.invalidArgument),
        (.fault(Fault(.overloaded, "full")), .resourceExhausted),
        (.unspecified, .unavailable),
    ])
    func `a turn that fails has neither Finished nor Usage`(_ outcome: Finish.Outcome, _ expected: Status.Code) {
        var turn = running()
        _ = came(&turn, "a")
        let end = turn.finished(Finish(outcome), at: at(4_000))
        expect(code(end), expected)
        expect(end.cancels, 0..<0)
        expect(end.givenBack, 7)
        #expect(take(&turn).map(\.delta.text) == ["a"])
    }

    @Test(arguments: [Phase.running, .cancelled])
    private func `a turn whose backend is lost never looks finished`(_ phase: Phase) {
        var turn = turn(in: phase)
        let end = turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(3_500))
        expect(code(end), .unavailable)
        expect(end.cancels, 0..<0)
        #expect(turn.ring.isEmpty)
    }

    @Test(arguments: [Phase.running, .stopped, .cancelled])
    private func `one that cannot go on, or whose call is gone, is computed no further`(_ phase: Phase) {
        var failed = turn(in: phase)
        expect(failed.fail(Status(.resourceExhausted)).cancels, 0..<1)
        var gone = turn(in: phase)
        expect(gone.abandon().cancels, 0..<1)
        expect(gone.abandon(), .init())
    }

    @Test func `what comes when a turn is over does nothing`() {
        for end in ["complete", "failed", "abandoned"] {
            var turn = running()
            switch end {
            case "complete": _ = turn.finished(finish(), at: at(3_000))
            case "failed": _ = turn.fail(Status(.resourceExhausted))
            default: _ = turn.abandon()
            }
            _ = take(&turn)
            expect(came(&turn, "late"), .init())
            expect(turn.cancel(at: at(4_000)), .init())
            expect(turn.finished(finish(), at: at(4_000)), .init())
            expect(turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(3_500)), .init())
            expect(turn.fail(Status(.unavailable)), .init())
            expect(turn.abandon(), .init())
            expect(turn.begun(Hearth_V1_Accepted(), granted: 1, at: at(4_000)), .init())
            expect(wanted(&turn), 0)
            #expect(turn.ring.isEmpty, "\(end)")
        }
    }

    @Test func `a backend's word about a turn that has not begun means nothing`() {
        var turn = turn()
        expect(came(&turn, "early"), .init())
        expect(turn.finished(finish(), at: at(1_100)), .init())
        expect(turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(3_500)), .init())
        #expect(turn.phase == .waiting)
        #expect(turn.ring.isEmpty)
    }
}

// MARK: - The ring

extension TurnStateTests {
    @Test(arguments: ["turnBytesMax", "turnEventsMax"])
    func `a turn that goes beyond its ring ends with the limit's name and without a gap`(_ limit: String) {
        var limits = limits
        if limit == "turnBytesMax" { limits.turnBytesMax = 100 } else { limits.turnEventsMax = 3 }
        var turn = running(limits: limits)
        var end = TurnState.Actions()
        while end.ending == nil { end = came(&turn, "a long text without end") }
        guard case .failed(let status) = end.ending else {
            Issue.record("\(end)")
            return
        }
        #expect(status.limit == limit)
        #expect(end.cancels == 0..<1)
        let events = take(&turn)
        #expect(events.map(\.seq) == (0..<events.count).map { UInt64($0 + 2) })
        #expect(events.allSatisfy { $0.delta.text == "a long text without end" })
    }

    @Test func `one whose end has no room is not finished`() {
        var limits = limits
        limits.turnEventsMax = 2
        var turn = running(limits: limits)
        _ = came(&turn, "a")
        let end = turn.finished(finish(), at: at(4_000))
        expect(code(end), .resourceExhausted)
        #expect(turn.phase == .over)
    }

    @Test func `a reader takes as much as it has room for, and the rest stays`() {
        var turn = running()
        for text in ["a", "b", "c"] { _ = came(&turn, text) }
        #expect(take(&turn, byteCount: 1).map(\.delta.text) == ["a"])
        #expect(turn.ring.eventCount == 2)
        _ = came(&turn, "d")
        let rest = take(&turn)
        #expect(rest.map(\.delta.text) == ["b", "c", "d"])
        #expect(rest.map(\.seq) == [3, 4, 5])
        #expect(turn.ring.isEmpty)
    }

    @Test func `the longest wait is as long as the request says`() {
        func wait(_ seconds: Int64, _ nanoseconds: Int32) -> UInt64 {
            TurnRequest.Duration(seconds: seconds, nanoseconds: nanoseconds).milliseconds
        }
        #expect(wait(0, 0) == 0)
        #expect(wait(0, 999_999) == 0)
        #expect(wait(1, 500_000_000) == 1_500)
        #expect(wait(.max, 999_999_999) == .max)
    }
}
