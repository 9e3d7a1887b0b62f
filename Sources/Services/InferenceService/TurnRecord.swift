internal import BackendIPC
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import WireFormat

internal import struct Foundation.Data

typealias TurnRecord = Hearth_Handover_V1_Turn

/// A turn's state as it is written down for another agent, which goes on with it as after the loss of a backend. Pure.
extension TurnState {
    /// The state as it stands. Its consumer is not told of the pause.
    var record: TurnRecord {
        var record = record(isPiece: false)
        record.firstSeq = ring.releasedSeq + 1
        if !ring.isEmpty { record.events = [Data(ring.kept)] }
        record.generated = choices.filter { self[$0].generated.byteCount > 0 }.map { choice in
            .with {
                $0.index = UInt32(choice)
                $0.ids = Data(self[choice].generated.packed)
            }
        }
        if let reader, phase != .over || reader.furthestSeq > 0 {
            record.resumption.sentSeq = reader.sentSeq
            record.resumption.furthestSeq = reader.furthestSeq
        }
        return record
    }

    /// The same without what grows: events and ids. `isPiece`: it goes on with what was written down before.
    func record(isPiece: Bool) -> TurnRecord {
        var record = TurnRecord()
        record.releasedSeq = ring.releasedSeq
        record.phase =
            switch phase {
            case .waiting: .waiting
            case .running: .running
            case .over: .over
            }
        record.isCancelled = isCancelled
        record.isToldOfPause = isToldOfPause
        record.failures = UInt32(clamping: failures)
        if !isPiece { record.arrived = arrived.nanoseconds }
        if let begun { record.begun = begun.nanoseconds }
        if let firstToken { record.firstToken = firstToken.nanoseconds }
        if let lastToken { record.lastToken = lastToken.nanoseconds }
        // What is over has its events, and nothing else that counts.
        if phase != .over { record.choices = choices.map { self[$0].record } }
        return record
    }

    /// Ends what nothing can go on with: a turn that its consumer has cancelled, and one whose backend goes on with nothing.
    mutating func settle(model: String, at now: Monotonic) -> Actions {
        var actions = Actions()
        for choice in choices where self[choice].phase == .running {
            guard isCancelled || !self[choice].canContinue else { continue }
            let ended = lost(
                choice: choice, Loss(status: StatusMapping.cannotBePassedOn(model: model), isFailure: false), at: now)
            actions.givenBack += ended.givenBack
            actions.charged += ended.charged
            actions.ending = ended.ending ?? actions.ending
        }
        return actions
    }

    /// The state that was written down. Nil where it is none that a turn of this request can have.
    init?(_ record: TurnRecord, of request: TurnRequest, creditTokens: UInt32, limits: InferenceLimits) {
        self.init(
            request, model: record.model, creditTokens: creditTokens, limits: limits,
            arrived: Monotonic(nanoseconds: record.arrived))
        let events = [UInt8](record.events.reduce(Data(), +))
        let isResumable = record.hasResumption
        // This agent's limits may be smaller than those of the one before.
        let kept = EventRing(
            bytesMax: max(limits.turnBytesMax, events.count),
            eventsMax: isResumable ? limits.resumableEventsMax : limits.turnEventsMax, events: events,
            firstSeq: record.firstSeq, releasedSeq: record.releasedSeq)
        guard let kept else { return nil }
        ring = kept
        switch record.phase {
        case .waiting: phase = .waiting
        case .running: phase = .running
        case .over: phase = .over
        case .unspecified, .UNRECOGNIZED: return nil
        }
        isCancelled = record.isCancelled
        isToldOfPause = record.isToldOfPause
        failures = Int(record.failures)
        begun = record.hasBegun ? Monotonic(nanoseconds: record.begun) : nil
        firstToken = record.hasFirstToken ? Monotonic(nanoseconds: record.firstToken) : nil
        lastToken = record.hasLastToken ? Monotonic(nanoseconds: record.lastToken) : nil
        var generated: [UInt32: Data] = [:]
        for piece in record.generated { generated[piece.index, default: Data()] += piece.ids }
        for choice in record.choices {
            let index = Int(choice.index)
            guard choices.contains(index) else { return nil }
            guard self[index].take(choice, ids: [UInt8](generated[choice.index] ?? Data())) else { return nil }
        }
        guard isResumable else { return }
        let resumption = record.resumption
        // Of an agent that has died nobody knows what it has sent of what it had.
        let (sent, furthest) =
            resumption.hasFurthestSeq
            ? (resumption.sentSeq, resumption.furthestSeq) : (ring.releasedSeq, ring.lastSeq)
        reader = TurnReader(sentSeq: sent, furthestSeq: furthest, of: ring)
        guard reader != nil else { return nil }
    }

    /// Of a turn that an agent has left as it died: ends what its consumer had cancelled.
    mutating func settleCancelled(at now: Monotonic) -> Actions {
        var actions = Actions()
        guard isCancelled, phase == .running else { return actions }
        for choice in choices where self[choice].phase == .interrupted {
            actions.ending = complete(choice, .cancelled, Finish(.reason(.cancelled)), at: now).ending
        }
        return actions
    }

    /// Another agent goes on with it: nothing comes of it here any more. Returns the tokens that were granted and did not come.
    mutating func leave() -> UInt32 {
        phase = .over
        ring.release(through: ring.lastSeq)
        return choices.reduce(0) { $0 + self[$1].end() }
    }
}

extension ChoiceState {
    fileprivate var record: Hearth_Handover_V1_Choice {
        .with {
            $0.index = index
            $0.phase =
                switch phase {
                case .waiting: .waiting
                case .running: canContinue ? .begun : .unspecified
                case .interrupted: .begun
                case .over: .over
                }
            $0.tokensSent = tokensSent
            if let matchedStop { $0.matchedStop = UInt32(matchedStop) }
            $0.matchesStops = !stops.isEmpty && !text.looksForStops
            if let finish { $0.finish = Data(finish.serialized()) }
            if let reason { $0.reason = Int32(reason.rawValue) }
            // Of a stop string that was found nothing is sent any more.
            if matchedStop == nil { $0.text = text.record }
            if let reasoning { $0.reasoning = reasoning.record }
            $0.hasToolCalls_p = hasToolCalls
            $0.pendingTokens = pendingTokens
            $0.pendingIds = Data(pendingIDs)
            $0.pendingLogprobs = Data(pendingLogprobs)
        }
    }

    /// Returns false where a choice of its request cannot be like that.
    fileprivate mutating func take(_ record: Hearth_Handover_V1_Choice, ids: [UInt8]) -> Bool {
        switch record.phase {
        case .waiting: phase = .waiting
        case .begun:
            phase = .interrupted
            keepsGenerated = true
        case .over: phase = .over
        case .unspecified, .UNRECOGNIZED: return false
        }
        tokensSent = record.tokensSent
        if record.hasMatchedStop {
            guard stops.indices.contains(Int(record.matchedStop)) else { return false }
            matchedStop = Int(record.matchedStop)
        }
        if record.hasFinish {
            finish = [UInt8](record.finish).withUnsafeBytes { try? Finish(decoding: $0) }
            guard finish != nil else { return false }
        }
        reason = record.hasReason ? Hearth_V1_FinishReason(rawValue: Int(record.reason)) : nil
        if phase == .interrupted {
            guard (try? Continuation(packedTokenIDs: ids)) != nil else { return false }
            generated = TokenLog(packed: ids)
            generatedBefore = generated.byteCount
        }
        // A stop string that was found has taken what was held back of it.
        let looksFor = record.matchesStops || matchedStop != nil ? [] : stops
        guard let assembler = TextAssembler(looksFor, record.text) else { return false }
        text = assembler
        if record.hasReasoning {
            reasoning = TextAssembler([], record.reasoning)
            guard reasoning != nil else { return false }
        }
        hasToolCalls = record.hasToolCalls_p
        pendingTokens = record.pendingTokens
        pendingIDs = [UInt8](record.pendingIds)
        pendingLogprobs = [UInt8](record.pendingLogprobs)
        hasPending = !pendingIDs.isEmpty || !pendingLogprobs.isEmpty
        return true
    }
}

extension TextAssembler {
    fileprivate var record: Hearth_Handover_V1_Held {
        .with {
            $0.tail = Data(tail)
            $0.held = Data(held)
        }
    }

    fileprivate init?(_ stops: [String], _ record: Hearth_Handover_V1_Held) {
        self.init(stops: stops, tail: [UInt8](record.tail), held: [UInt8](record.held))
    }
}

extension Hearth_Handover_V1_Ending {
    init(_ ending: TurnState.Ending) {
        self.init()
        guard case .failed(let status) = ending else { return }
        code = Int32(status.code.rawValue)
        message = status.message
        details = status.details.map { detail in
            .with {
                $0.typeURL = detail.typeURL
                $0.value = Data(detail.value)
            }
        }
    }

    var ending: TurnState.Ending {
        guard code != 0 else { return .complete }
        return .failed(
            Status(
                Status.Code(rawValue: Int(code)) ?? .unknown, message,
                details: details.map { Status.Detail(typeURL: $0.typeURL, value: [UInt8]($0.value)) }))
    }
}
