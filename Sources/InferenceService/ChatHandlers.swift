internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

/// A `Chat` call: one turn after the other.
@IOLoop
final class ChatHandler: CallHandler {
    private let call: ServerCall
    private let service: InferenceService
    private var turn: Turn?
    private var turns = 0
    private var hasEnded = false

    init(call: ServerCall, service: InferenceService) {
        self.call = call
        self.service = service
    }

    func received(_ message: UnsafeRawBufferPointer) {
        guard let request = try? Hearth_V1_ChatRequest(serializedBytes: Array(message)) else {
            return end(.undecodable("ChatRequest"))
        }
        switch request.request {
        case .generate(let generate): begin(generate)
        case .cancel: turn?.cancel()
        case nil:
            end(RequestValidation.invalid("request", "holds neither generate nor cancel; send one of them"))
        }
    }

    private func begin(_ request: Hearth_V1_GenerateRequest) {
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
            turn = try service.turn(for: request, on: call) { [weak self] ending in self?.turnEnded(ending) }
        } catch {
            return end(error)
        }
        if let turn { service.admit(turn) }
    }

    private func turnEnded(_ ending: Turn.Ending) {
        if let turn { service.ended(turn, ending) }
        turn = nil
        switch ending {
        case .failed(let status): end(status)
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
        guard let turn else { return }
        self.turn = nil
        turn.abandon()
        service.ended(turn, .failed(status))
    }
}

/// A `Generate` call: one turn.
@IOLoop
final class GenerateHandler: CallHandler {
    private let call: ServerCall
    private let service: InferenceService
    private var turn: Turn?
    private var hasRequest = false

    init(call: ServerCall, service: InferenceService) {
        self.call = call
        self.service = service
        call.awaitRequest()
    }

    func received(_ message: UnsafeRawBufferPointer) {
        guard !hasRequest else {
            return end(Status(.internalError, "this method takes one request, and a second one was sent"))
        }
        hasRequest = true
        call.requestCame()
        guard let request = try? Hearth_V1_GenerateRequest(serializedBytes: Array(message)) else {
            return call.finish(.undecodable("GenerateRequest"))
        }
        do {
            turn = try service.turn(for: request, on: call) { [weak self] ending in self?.turnEnded(ending) }
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

    func receivedEnd() {
        if !hasRequest { call.finish(Status(.internalError, "this method takes one request, and none was sent")) }
    }

    func sendBufferDrained() { turn?.sendBufferDrained() }

    func cancelled(_ status: Status) { drop(status) }

    private func end(_ status: Status) {
        drop(status)
        call.finish(status)
    }

    private func drop(_ status: Status) {
        guard let turn else { return }
        self.turn = nil
        turn.abandon()
        service.ended(turn, .failed(status))
    }
}

extension Status {
    static func undecodable(_ type: String) -> Status {
        Status(.invalidArgument, "the message is no hearth.v1.\(type); check the version of inference.proto")
    }
}
