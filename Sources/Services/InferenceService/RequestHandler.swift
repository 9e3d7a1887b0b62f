internal import BackendIPC
internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf
internal import WireFormat

internal import struct Foundation.Data

/// A call of `Chat`, of `Generate`, of a method that asks about a prompt, or of `Embed` or `Rerank`: reads its requests and answers them in the
/// order that `RequestOrder` knows.
@IOLoop
final class RequestHandler: CallHandler {
    private let call: ServerCall
    private let service: InferenceService
    private let reading: RequestReading
    private var order: RequestOrder
    private var turn: Turn?
    /// The last turn that can be resumed, to be acknowledged.
    private weak var lastTurn: Turn?
    private var embedding: EmbeddingTurn?
    /// A question about a prompt that is being answered.
    private var asked: [UInt8]?
    /// Another agent answers the call.
    private var relayed: RelayedCall?
    private var passing = Passing.none

    /// Whether another agent has passed the call on, and says with the first message how it stands.
    private enum Passing {
        case none, awaitsRecord
        case awaitsBackends(hasEnded: Bool)
    }

    init(_ method: RequestOrder.Method, _ call: ServerCall, _ service: InferenceService) {
        self.call = call
        self.service = service
        reading = RequestReading(call, service)
        order = RequestOrder(method, turnsMax: service.limits.turnsPerStreamMax)
        if service.successor != nil {
            relayed = service.relay(call, Hearth_Handover_V1_Call())
        } else if let server = service.passedServer, call.isServed(by: server) {
            passing = .awaitsRecord
        } else if method != .chat {
            call.awaitRequest()
        }
    }

    func received(_ message: UnsafeRawBufferPointer) {
        call.requestCame()
        if let relayed { return relayed.passOn(message) }
        if case .awaitsRecord = passing { return goOn(with: message) }
        perform(order.messageCame())
        guard !order.isOver else { return }
        let scan: RequestScan =
            switch order.method {
            case .chat: .chat(byteCount: message.count, limits: service.limits)
            case .resume: .resume(byteCount: message.count, limits: service.limits)
            case .embed: .embedding(.embed, byteCount: message.count, limits: service.limits)
            case .rerank: .embedding(.rerank, byteCount: message.count, limits: service.limits)
            default: .generate(byteCount: message.count, limits: service.limits)
            }
        reading.read(message, scan) { [weak self] result in self?.read(result) }
    }

    private func read(_ result: Result<RequestReading.Arrival, Status>) {
        switch result {
        case .success(.generate(let request, let encoded)):
            let action = order.requestCame()
            if action == .answer { answer(request, encoded) } else { perform(action) }
        case .success(.embedding(let request, let encoded)):
            let action = order.requestCame()
            if action == .answer { answer(request, encoded) } else { perform(action) }
        case .success(.resume(let request)):
            let action = order.requestCame()
            if action == .answer { resume(request) } else { perform(action) }
        case .success(.cancel): perform(order.cancelCame())
        case .success(.acknowledge(let seq)): acknowledge(seq)
        case .success(.nothing):
            perform(
                order.refuse(
                    RequestValidation.invalid(
                        "request", "holds none of generate, cancel and acknowledge; send one of them")))
        case .failure(let status): perform(order.refuse(status))
        }
    }

    private func answer(_ request: TurnRequest, _ encoded: [UInt8]) {
        do throws(Status) {
            if order.method.question != nil {
                asked = encoded
                try service.ask(order.method, request, encoded, call) { [weak self] result in self?.answered(result) }
            } else {
                let turn = try service.turn(for: request, encoded, on: call) { [weak self] in self?.turnEnded($0) }
                // Who asks for the next one has the last one.
                try? lastTurn?.acknowledge()
                lastTurn = request.resumableMilliseconds == nil ? nil : turn
                self.turn = turn
                service.admit(turn)
            }
        } catch {
            perform(order.refuse(error))
        }
    }

    private func answer(_ request: EmbeddingRequest, _ encoded: [UInt8]) {
        do throws(Status) {
            let embedding = try service.embedding(for: request, encoded, on: call) { [weak self] result in
                self?.embedded(result)
            }
            self.embedding = embedding
            service.admit(embedding)
        } catch {
            perform(order.refuse(error))
        }
    }

    private func resume(_ request: ResumeRequest) {
        do throws(Status) {
            let turn = try service.resume(request, on: call) { [weak self] in self?.turnEnded($0) }
            if !order.isOver { self.turn = turn }
        } catch {
            perform(order.refuse(error))
        }
    }

    private func acknowledge(_ seq: UInt64) {
        do throws(TurnReader.Refusal) {
            try (turn ?? lastTurn)?.acknowledge(seq)
        } catch {
            perform(order.refuse(StatusMapping.status(of: error)))
        }
    }

    private func embedded(_ result: Result<[UInt8], Status>) {
        embedding = nil
        switch result {
        case .success(let message):
            call.send(byteCount: message.count) { $0.copyBytes(from: message) }
            perform(order.answered())
        case .failure(let status): perform(order.refuse(status))
        }
    }

    private func answered(_ result: Result<PromptAnswer, Status>) {
        guard asked != nil else { return }
        asked = nil
        switch result {
        case .success(let answer):
            send(answer)
            perform(order.answered())
        case .failure(let status): perform(order.refuse(status))
        }
    }

    private func send(_ answer: PromptAnswer) {
        switch answer {
        case .count(let tokens): call.send(Hearth_V1_CountTokensResponse.with { $0.tokens = tokens })
        case .tokens(let message): call.send(byteCount: message.count) { $0.copyBytes(from: message) }
        case .text(let text):
            // `DetokenizeResponse` and `ApplyTemplateResponse` differ only in the name of the type.
            call.send(byteCount: text.isEmpty ? 0 : WireSize.field(1, byteCount: text.count)) { memory in
                var writer = WireWriter(memory)
                if !text.isEmpty { writer.field(1, bytes: text) }
            }
        }
    }

    private func turnEnded(_ ending: TurnState.Ending) {
        turn = nil
        switch ending {
        case .complete: perform(order.answered())
        case .failed(let status): perform(order.refuse(status))
        case .abandoned: break
        }
    }

    func receivedEnd() {
        if let relayed { return relayed.passOnEnd() }
        if case .awaitsBackends = passing {
            passing = .awaitsBackends(hasEnded: true)
        } else {
            perform(order.endCame())
        }
    }

    func sendBufferDrained() {
        relayed?.drained()
        turn?.sendBufferDrained()
    }

    func cancelled(_ status: Status) {
        order.gone()
        relayed?.cancel()
        relayed = nil
        // Whose key was revoked does not come back.
        drop(mayReturn: status.code != .unauthenticated)
    }

    private func perform(_ action: RequestOrder.Action) {
        switch action {
        case .nothing, .answer: break
        case .cancelAnswer: turn?.cancel()
        case .end(let status):
            drop()
            call.finish(status)
        }
    }

    /// Ends everything that was begun for the call, because nothing of it is wanted any more. `mayReturn`: the consumer may
    /// come back for a turn that can be resumed.
    private func drop(mayReturn: Bool = false) {
        reading.stop()
        asked = nil
        let (turn, embedding) = (turn, embedding)
        self.turn = nil
        self.embedding = nil
        if mayReturn { turn?.isLeft() } else { turn?.abandon() }
        embedding?.abandon()
    }
}

// MARK: - Another agent

extension RequestHandler {
    /// Another agent answers the call from now on.
    func leave() {
        guard !order.isOver, relayed == nil, case .none = passing else { return }
        let anew = reading.leave() ?? embedding?.leave() ?? asked
        (embedding, asked) = (nil, nil)
        let running = turn?.leave()
        // Its end may have ended the call.
        guard !order.isOver else { return }
        turn = nil
        var record = order.record(isAnew: anew != nil)
        if let anew { record.message = Data(anew) }
        if let running { record.turn = running }
        if let digest = lastTurn?.resumptionDigest { record.lastTurn = Data(digest) }
        call.keep(0)
        relayed = service.relay(call, record)
    }

    /// Another agent has passed the call on, which stands like this.
    private func goOn(with message: UnsafeRawBufferPointer) {
        guard let record = try? Hearth_Handover_V1_Call(serializedBytes: Array(message)),
            record.revision == InferenceService.passingRevision
        else {
            return perform(order.refuse(StatusMapping.passedOnWrongly))
        }
        passing = .awaitsBackends(hasEnded: false)
        call.pauseReceiving()
        service.whenPassedCallsGoOn { [weak self] in self?.goOn(with: record) }
    }

    private func goOn(with record: Hearth_Handover_V1_Call) {
        guard case .awaitsBackends(let hasEnded) = passing, !order.isOver else { return }
        passing = .none
        order = RequestOrder(
            order.method, turnsMax: service.limits.turnsPerStreamMax, record, isAnswering: record.hasTurn)
        do throws(Status) {
            if record.hasTurn {
                let turn = try service.goOn(with: record, on: call) { [weak self] in self?.turnEnded($0) }
                guard !record.isAbsent else { return perform(order.refuse(.ok)) }
                if !order.isOver, !turn.isOver { self.turn = turn }
            }
        } catch {
            return perform(order.refuse(error))
        }
        if !record.lastTurn.isEmpty { lastTurn = service.resumables.turn(.init(digest: [UInt8](record.lastTurn))) }
        if !record.message.isEmpty { [UInt8](record.message).withUnsafeBytes { received($0) } }
        if hasEnded { perform(order.endCame()) }
        // The other agent hears that this one has it.
        call.sendInitialMetadata()
        call.resumeReceiving()
    }
}
