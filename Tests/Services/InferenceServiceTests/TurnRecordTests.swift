import BackendIPC
import Foundation
import GRPC
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

@testable import InferenceService

/// Turns that are written down for another agent, which goes on with them.
struct TurnRecordTests {
    private let limits = InferenceLimits()

    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    private func request(stops: [String] = [], choices: UInt32? = nil) -> TurnRequest {
        var request = TurnRequest()
        request.requestID = "r"
        request.choices = choices
        request.wantsTokenIDs = true
        request.stopping.stop = stops
        return request
    }

    private func turn(_ request: TurnRequest, isResumable: Bool = false) -> TurnState {
        var turn = TurnState(request, model: "m", creditTokens: 64, limits: limits, arrived: at(1_000))
        if isResumable { turn.makeResumable(token: "secret", milliseconds: 1_500, limits: limits) }
        return turn
    }

    private func begin(_ turn: inout TurnState, canContinue: Bool = true) {
        _ = turn.begun(Hearth_V1_Accepted(), canContinue: canContinue, granted: 64, at: at(2_000))
    }

    @discardableResult
    private func came(
        _ turn: inout TurnState, _ text: [UInt8], id: UInt8 = 7, choice: Int = 0
    ) -> TurnState.Actions {
        text.withUnsafeBytes { text in
            [id].withUnsafeBytes { ids in
                turn.came(
                    TokenRunView(sequence: UInt32(choice), tokenCount: 1, packedTokenIDs: ids, text: text),
                    choice: choice, at: at(3_000))
            }
        }
    }

    private func restored(_ record: TurnRecord, _ request: TurnRequest) throws -> TurnState {
        // As it crosses.
        let crossed = try TurnRecord(serializedBytes: record.serializedBytes() as [UInt8])
        return try #require(TurnState(crossed, of: request, creditTokens: 64, limits: limits))
    }

    private func passed(_ turn: TurnState, _ request: TurnRequest) throws -> TurnState {
        var record = turn.record
        record.model = "m"
        return try restored(record, request)
    }

    /// The events of a turn that is passed on before the token with this number, and the same turn's without that.
    private func events(_ texts: [[UInt8]], stops: [String], passedBefore place: Int?) throws -> [Hearth_V1_ChatEvent] {
        let request = request(stops: stops)
        var turn = turn(request)
        begin(&turn)
        var events: [Hearth_V1_ChatEvent] = []
        for (number, text) in texts.enumerated() {
            if number == place {
                events += turn.takeEvents()
                turn = try passed(turn, request)
                #expect(turn.isInterrupted && turn.continuation == (0..<number).map { UInt8($0 + 1) })
                begin(&turn)
            }
            came(&turn, text, id: UInt8(number + 1))
        }
        #expect(turn.finished(Finish(.reason(.stop), promptTokens: 3), at: at(5_000)).ending == .complete)
        return events + turn.takeEvents()
    }

    @Test func `wherever a turn is passed on, its consumer gets the same`() throws {
        // Halves of scalars, parts of stop strings that come to nothing, and no text at all.
        let texts = ["Hé", "ÿ", "ba", "nan", "", "x", "stö", "p"].flatMap { text -> [[UInt8]] in
            let bytes = Array(text.utf8)
            return bytes.count < 3 ? [bytes] : [Array(bytes.prefix(2)), Array(bytes.dropFirst(2))]
        }
        for stops in [[], ["banana", "nax", "ÿc"], ["nanx"]] {
            let whole = try events(texts, stops: stops, passedBefore: nil)
            #expect(whole.last?.usage.promptTokens == 3)
            for place in texts.indices.dropFirst() where stops != ["nanx"] || place < 9 {
                #expect(try events(texts, stops: stops, passedBefore: place) == whole, "before token \(place)")
            }
        }
    }

    @Test func `one that waits goes on waiting, with what its consumer was told and not told`() throws {
        var request = request()
        request.wantsQueueEvents = true
        var turn = turn(request)
        turn.queued(position: 3)
        var other = try passed(turn, request)
        #expect(other.phase == .waiting && other.nextChoice == 0 && !other.isInterrupted)
        begin(&other)
        let events = other.takeEvents()
        #expect(events.map(\.seq) == [1, 2] && events[0].queued.position == 3)
        #expect(events[1].accepted.requestID == "r" && events[1].accepted.model == "m")
    }

    @Test func `choices go on each from its place`() throws {
        let request = request(choices: 3)
        var turn = turn(request)
        begin(&turn)
        begin(&turn)
        came(&turn, Array("a".utf8), choice: 0)
        came(&turn, Array("b".utf8), id: 9, choice: 1)
        _ = turn.finished(Finish(.reason(.length), promptTokens: 5), choice: 0, at: at(4_000))
        _ = turn.takeEvents()
        var other = try passed(turn, request)
        #expect(other.nextChoice == 1 && other.continuation == [9])
        begin(&other)
        #expect(other.nextChoice == 2 && other.continuation == nil)
        begin(&other)
        came(&other, Array("c".utf8), choice: 2)
        _ = other.finished(Finish(.reason(.stop), promptTokens: 5), choice: 1, at: at(5_000))
        #expect(other.finished(Finish(.reason(.stop), promptTokens: 5), choice: 2, at: at(5_000)).ending == .complete)
        let usage = try #require(other.takeEvents().last?.usage)
        #expect(usage.completionTokens == 3 && usage.promptTokens == 5 && usage.choices.count == 3)
    }

    @Test func `what its backend cannot go on with ends, and what its consumer has cancelled is complete`() {
        var turn = turn(request())
        begin(&turn, canContinue: false)
        came(&turn, [0x61])
        let actions = turn.settle(model: "m", at: at(4_000))
        guard case .failed(let status) = actions.ending else { return #expect(Bool(false), "it goes on") }
        #expect(status.code == .unavailable && status.message.contains("was upgraded"))

        var cancelled = self.turn(request())
        begin(&cancelled)
        came(&cancelled, [0x61])
        _ = cancelled.cancel(at: at(3_500))
        #expect(cancelled.settle(model: "m", at: at(4_000)).ending == .complete)
        let events = cancelled.takeEvents()
        #expect(events.suffix(2).first?.finished.reason == .cancelled && events.last?.usage.completionTokens == 1)
    }

    @Test func `a turn that was left says nothing more, whatever comes of its backend`() {
        var turn = turn(request())
        begin(&turn)
        came(&turn, [0x61])
        #expect(turn.leave() == 63)
        #expect(turn.lost(.init(status: StatusMapping.lost(model: "m")), at: at(4_000)) == .init())
        #expect(came(&turn, [0x62]) == .init())
        #expect(turn.takeEvents().isEmpty)
    }

    @Test func `a consumer comes back behind any event that was kept, once`() throws {
        let request = request()
        var turn = turn(request, isResumable: true)
        begin(&turn)
        for byte in UInt8(0x61)...0x65 { came(&turn, [byte]) }
        turn.take(byteCount: .max, keepsSent: true) { _ in }
        try turn.acknowledge(3)
        var other = try passed(turn, request)
        #expect(other.reader?.sentSeq == 7 && other.unsentBytes == 0)
        #expect(throws: TurnReader.Refusal.released(through: 3)) { try other.resume(after: 2) }
        #expect(throws: TurnReader.Refusal.ahead(last: 7)) { try other.resume(after: 8) }
        try other.resume(after: 5)
        var bytes = 0
        other.take(byteCount: .max, keepsSent: true) { bytes = $0.count }
        #expect(bytes > 0 && other.reader?.sentSeq == 7)
    }

    @Test func `the pieces of a turn are at every moment the turn`() throws {
        let request = request(stops: ["xyz"])
        var turn = turn(request, isResumable: true)
        var mark = TurnState.Mark()
        var record = TurnRecord()
        func write(_ turn: TurnState) throws {
            let isFirst = mark == TurnState.Mark()
            guard var piece = turn.piece(after: &mark, isEnding: false) else { return }
            if isFirst {
                piece = turn.record
                // Of an agent that has died nobody knows what it has sent.
                piece.resumption.clearSentSeq()
                piece.resumption.clearFurthestSeq()
            }
            try record.merge(serializedBytes: piece.serializedBytes() as [UInt8])
            let other = try restored(record, request)
            #expect(other.phase == turn.phase && other.ring.kept == turn.ring.kept)
            #expect(other.ring.lastSeq == turn.ring.lastSeq && other.tokensSent == turn.tokensSent)
            #expect(other.continuation ?? [] == (turn.phase == .running ? turn.first.generated.packed : []))
            #expect(other.first.text.held == turn.first.text.held && other.first.text.tail == turn.first.text.tail)
        }
        try write(turn)
        begin(&turn)
        try write(turn)
        for (number, text) in ["a", "x", "y", "b", "xy", "c"].enumerated() {
            came(&turn, Array(text.utf8), id: UInt8(number + 1))
            try write(turn)
            turn.take(byteCount: .max, keepsSent: number.isMultiple(of: 2)) { _ in }
        }
        #expect(turn.piece(after: &mark, isEnding: false) == nil, "nothing has changed")
        #expect(turn.finished(Finish(.reason(.stop)), at: at(5_000)).ending == .complete)
        try write(turn)
    }

    @Test func `what no turn can be is refused`() throws {
        let request = request(stops: ["stop"])
        var turn = turn(request)
        begin(&turn)
        came(&turn, Array("ast".utf8))
        let right = turn.record
        #expect(TurnState(right, of: request, creditTokens: 64, limits: limits) != nil)
        let wrong: [(String, (inout TurnRecord) -> Void)] = [
            ("no phase", { $0.phase = .unspecified }),
            ("half an event", { $0.events = [Data($0.events[0].dropLast())] }),
            ("half a prefix", { $0.events.append(Data([0, 0])) }),
            ("a number behind its events", { $0.releasedSeq = 9 }),
            ("no number", { $0.firstSeq = 0 }),
            ("a choice that it has not", { $0.choices[0].index = 1 }),
            ("a choice without a phase", { $0.choices[0].phase = .unspecified }),
            ("half an id", { $0.generated = [.with { $0.ids = Data([0x80]) }] }),
            ("what no stop string begins with", { $0.choices[0].text.held = Data("a".utf8) }),
            ("a whole stop string", { $0.choices[0].text.held = Data("stop".utf8) }),
            ("more than the beginning of a scalar", { $0.choices[0].text.tail = Data([1, 2, 3, 4]) }),
            ("a stop string that it has not", { $0.choices[0].matchedStop = 1 }),
            ("a finish that is none", { $0.choices[0].finish = Data([0xFF]) }),
            (
                "a reader that is ahead",
                {
                    $0.resumption.sentSeq = 9
                    $0.resumption.furthestSeq = 9
                }
            ),
        ]
        for (what, change) in wrong {
            var record = right
            change(&record)
            #expect(TurnState(record, of: request, creditTokens: 64, limits: limits) == nil, "\(what)")
        }
    }
}
