internal import BackendIPC
internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf
internal import WireFormat

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

    init(_ method: RequestOrder.Method, _ call: ServerCall, _ service: InferenceService) {
        self.call = call
        self.service = service
        reading = RequestReading(call, service)
        order = RequestOrder(method, turnsMax: service.limits.turnsPerStreamMax)
        if method != .chat { call.awaitRequest() }
    }

    func received(_ message: UnsafeRawBufferPointer) {
        call.requestCame()
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

    func receivedEnd() { perform(order.endCame()) }

    func sendBufferDrained() { turn?.sendBufferDrained() }

    func cancelled(_ status: Status) {
        order.gone()
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
        let (turn, embedding) = (turn, embedding)
        self.turn = nil
        self.embedding = nil
        if mayReturn { turn?.isLeft() } else { turn?.abandon() }
        embedding?.abandon()
    }
}
