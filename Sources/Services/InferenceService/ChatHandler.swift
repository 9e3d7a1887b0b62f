internal import EventLoop
internal import GRPC

/// A `Chat` call: one turn after the other.
@IOLoop
final class ChatHandler: CallHandler {
    private let call: ServerCall
    private let service: InferenceService
    private let reading: RequestReading
    private var turn: Turn?
    private var turns = 0
    private var hasEnded = false

    init(call: ServerCall, service: InferenceService) {
        self.call = call
        self.service = service
        reading = RequestReading(call, service)
    }

    func received(_ message: UnsafeRawBufferPointer) {
        reading.read(message, .chat(byteCount: message.count, limits: service.limits)) { [weak self] result in
            switch result {
            case .success(.generate(let request, let encoded)): self?.begin(request, encoded)
            case .success(.cancel): self?.turn?.cancel()
            case .success(.nothing):
                self?.end(
                    RequestValidation.invalid("request", "holds neither generate nor cancel; send one of them"))
            case .failure(let status): self?.end(status)
            }
        }
    }

    private func begin(_ request: TurnRequest, _ encoded: [UInt8]) {
        guard turn == nil else {
            let remedy = "wait for its usage, send cancel, or open another stream"
            return end(Status(.failedPrecondition, "a turn is running on this stream; \(remedy)"))
        }
        turns += 1
        guard turns <= service.limits.turnsPerStreamMax else {
            let limit = service.limits.turnsPerStreamMax
            let remedy = "this stream has had \(limit) turns; open another one"
            return end(
                Status(
                    .resourceExhausted, remedy,
                    details: [.quotaFailure(subject: "stream", description: "turnsPerStreamMax: \(remedy)")]))
        }
        do {
            turn = try service.turn(for: request, encoded, on: call) { [weak self] ending in self?.turnEnded(ending) }
        } catch {
            return end(error)
        }
        if let turn { service.admit(turn) }
    }

    private func turnEnded(_ ending: Turn.Ending) {
        if let turn { service.ended(turn, ending) }
        turn = nil
        switch ending {
        case .failed(let status): call.finish(status)
        case .complete where hasEnded: call.finish(.ok)
        case .complete: break
        }
    }

    func receivedEnd() {
        hasEnded = true
        if turn == nil { call.finish(.ok) }
    }

    func sendBufferDrained() { turn?.sendBufferDrained() }

    func cancelled(_ status: Status) { drop(status) }

    private func end(_ status: Status) {
        drop(status)
        call.finish(status)
    }

    private func drop(_ status: Status) {
        reading.stop()
        guard let turn else { return }
        self.turn = nil
        turn.abandon()
        service.ended(turn, .failed(status))
    }
}
