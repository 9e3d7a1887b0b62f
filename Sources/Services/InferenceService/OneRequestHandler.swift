internal import EventLoop
internal import GRPC

/// A call of a method that takes one `GenerateRequest`.
@IOLoop
class OneRequestHandler: CallHandler {
    let call: ServerCall
    let service: InferenceService
    private let reading: RequestReading
    private var hasRequest = false

    init(call: ServerCall, service: InferenceService) {
        self.call = call
        self.service = service
        reading = RequestReading(call, service)
        call.awaitRequest()
    }

    /// The request has come, and is in its limits.
    func serve(_ request: TurnRequest, _ encoded: [UInt8]) {}

    /// The call is over, and nothing that was begun for it is wanted any more.
    func drop(_ status: Status) {}

    func sendBufferDrained() {}

    final func received(_ message: UnsafeRawBufferPointer) {
        guard !hasRequest else {
            return end(Status(.internalError, "this method takes one request, and a second one was sent"))
        }
        hasRequest = true
        call.requestCame()
        reading.read(message, .generate(byteCount: message.count, limits: service.limits)) { [weak self] result in
            switch result {
            case .success(.generate(let request, let encoded)): self?.serve(request, encoded)
            // A GenerateRequest is nothing else.
            case .success(.cancel), .success(.nothing): break
            case .failure(let status): self?.end(status)
            }
        }
    }

    final func receivedEnd() {
        if !hasRequest { call.finish(Status(.internalError, "this method takes one request, and none was sent")) }
    }

    final func cancelled(_ status: Status) {
        reading.stop()
        drop(status)
    }

    final func end(_ status: Status) {
        cancelled(status)
        call.finish(status)
    }
}

/// A `Generate` call: one turn.
final class GenerateHandler: OneRequestHandler {
    private var turn: Turn?

    override func serve(_ request: TurnRequest, _ encoded: [UInt8]) {
        do {
            turn = try service.turn(for: request, encoded, on: call) { [weak self] ending in self?.turnEnded(ending) }
        } catch {
            return call.finish(error)
        }
        if let turn { service.admit(turn) }
    }

    private func turnEnded(_ ending: Turn.Ending) {
        if let turn { service.ended(turn, ending) }
        turn = nil
        switch ending {
        case .failed(let status): call.finish(status)
        case .complete: call.finish(.ok)
        }
    }

    override func sendBufferDrained() { turn?.sendBufferDrained() }

    override func drop(_ status: Status) {
        guard let turn else { return }
        self.turn = nil
        turn.abandon()
        service.ended(turn, .failed(status))
    }
}

/// A `CountTokens` call: one question to a backend.
final class CountTokensHandler: OneRequestHandler {
    override func serve(_ request: TurnRequest, _ encoded: [UInt8]) {
        do throws(Status) {
            try service.countTokens(request, encoded, call) { [call] result in
                switch result {
                case .success(let tokens):
                    call.send(tokens)
                    call.finish(.ok)
                case .failure(let status): call.finish(status)
                }
            }
        } catch {
            call.finish(error)
        }
    }
}
