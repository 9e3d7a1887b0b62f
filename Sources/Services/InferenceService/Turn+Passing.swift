internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import TraceExport

internal import struct Foundation.Data

// Another agent goes on with the turn.
extension Turn {
    /// The turn as it stands, for another agent: nothing comes of it here any more. Nil where it has ended instead, because
    /// nothing could go on with it.
    func leave() -> TurnRecord? {
        if !isOver {
            perform(state.settle(model: model, at: .awake()))
            if isOver { return nil }
        }
        let record = record
        guard !isOver else {
            resumption?.leave()
            return record
        }
        // Whether or not anybody counts them.
        let givenBack = state.leave()
        consumer?.giveBack(givenBack)
        consumer?.end(choices: 1 + otherSequences.count)
        queueTimer?.cancel()
        budgetTimer?.cancel()
        sequence = nil
        for index in otherSequences.indices { otherSequences[index] = nil }
        reader?.keep(0)
        reader?.keepForClient(0)
        resumption?.leave()
        return record
    }

    /// What has computed it, for another agent; nil: nothing has.
    private var computer: [UInt8]? { passedIdentity ?? identity.map(service.passed) }

    /// The turn as it stands.
    var record: TurnRecord {
        var record = state.record
        record.model = model
        if !isOver { record.request = Data(encoded) }
        if let computer { record.backend = Data(computer) }
        if let resumption {
            record.resumption.tokenSha256 = Data(resumption.key.digest)
            record.resumption.milliseconds = resumption.milliseconds
            if let ending = resumption.ending { record.ending = .init(ending) }
        }
        if let trace { record.trace = .init(trace.place) }
        return record
    }

    /// What has changed is written down, before its consumer is told.
    func writeDown(_ ending: TurnState.Ending? = nil) {
        resumption?.writing?.write(state, backend: computer, ending: ending) {
            var record = record
            // What the consumer has of it is not known afterwards.
            record.resumption.clearSentSeq()
            record.resumption.clearFurthestSeq()
            record.resumption.caller = PassedCaller.caller(of: call, over: nil)
            return record
        }
    }

    /// Its model's queue has it again, under this agent.
    func goesOn() {
        reader?.keep(encoded.count)
        perform(state.settleCancelled(at: .awake()))
        passOn(all: isOver)
        if isOver { resumption?.finishReading() }
    }
}

extension SpanPlace {
    init(_ record: Hearth_Handover_V1_Trace) {
        self.init(
            traceID: [UInt8](record.traceID), id: [UInt8](record.spanID), parentID: [UInt8](record.parentID),
            state: record.state)
    }
}

extension Hearth_Handover_V1_Trace {
    fileprivate init(_ place: SpanPlace) {
        self.init()
        traceID = Data(place.traceID)
        spanID = Data(place.id)
        parentID = Data(place.parentID)
        state = place.state
    }
}
