internal import BackendIPC
internal import BackendSupervisor
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

/// The state machine of one call: the order in which its requests may come and are answered, and when the call ends.
/// Pure: its handler reports what happened, and does what it returns.
///
/// A request is answered by a turn, or by one message about its prompt. Once the call has ended, no event has an effect.
struct RequestOrder {
    /// The methods that a backend answers.
    enum Method: Equatable {
        /// One answer after the other.
        case chat
        /// One request and one answer.
        case generate, resume, countTokens, tokenize, detokenize, applyTemplate, embed, rerank

        /// What it asks a backend about the prompt; nil: it asks for something else.
        var question: PromptQuestion? {
            switch self {
            case .chat, .generate, .resume, .embed, .rerank: nil
            case .countTokens: .count
            case .tokenize: .tokens
            case .detokenize, .applyTemplate: .text
            }
        }
    }

    /// The action of the handler.
    enum Action: Equatable {
        case nothing
        /// Begin to answer the request that has come.
        case answer
        /// The running answer is to end early; it ends as any other.
        case cancelAnswer
        /// Abandon the answer that runs, if one does, and end the call.
        case end(Status)
    }

    private enum Phase: Equatable { case idle, answering, over }

    let method: Method
    private var phase = Phase.idle
    /// A message has come.
    private var hasMessage = false
    /// The client sends nothing more.
    private var hasAll = false
    /// The number of answers begun, and the most that there may be: in few bytes, because idle streams come in
    /// thousands.
    private var answers: UInt32 = 0
    private let turnsMax: UInt32

    init(_ method: Method, turnsMax: Int) {
        self.method = method
        self.turnsMax = UInt32(clamping: turnsMax)
    }

    /// Of a call that another agent has passed on. `isAnswering`: its answer is under way.
    init(_ method: Method, turnsMax: Int, _ record: Hearth_Handover_V1_Call, isAnswering: Bool) {
        self.init(method, turnsMax: turnsMax)
        hasMessage = record.hasMessage_p
        hasAll = record.hasAll_p
        answers = record.answers
        if isAnswering { phase = .answering }
    }

    /// What another agent has to know of it. `isAnew`: the request that has come is read, or answered, anew there.
    func record(isAnew: Bool) -> Hearth_Handover_V1_Call {
        .with {
            $0.hasMessage_p = hasMessage && !isAnew
            $0.hasAll_p = hasAll
            $0.answers = answers - (isAnew && phase == .answering ? 1 : 0)
        }
    }

    var isOver: Bool { phase == .over }

    /// A message came that was not read yet. `.nothing`: read it.
    mutating func messageCame() -> Action {
        guard phase != .over else { return .nothing }
        defer { hasMessage = true }
        guard method == .chat || !hasMessage else {
            return end(Status(.internalError, "this method takes one request, and a second one was sent"))
        }
        return .nothing
    }

    /// The message is a request.
    mutating func requestCame() -> Action {
        switch phase {
        case .over: return .nothing
        case .answering:
            let remedy = "wait for its usage, send cancel, or open another stream"
            return end(Status(.failedPrecondition, "a turn is running on this stream; \(remedy)"))
        case .idle:
            guard answers < turnsMax else { return end(turnsOver) }
            answers += 1
            phase = .answering
            return .answer
        }
    }

    /// The message is a `Cancel`; it has no effect when nothing is being answered.
    func cancelCame() -> Action { phase == .answering ? .cancelAnswer : .nothing }

    /// The message is neither, cannot be read, or cannot be answered.
    mutating func refuse(_ status: Status) -> Action { phase == .over ? .nothing : end(status) }

    /// The client has ended its side of the call.
    mutating func endCame() -> Action {
        hasAll = true
        switch phase {
        case .over, .answering: return .nothing
        case .idle where method == .chat: return end(.ok)
        // The message that has come is being read.
        case .idle where hasMessage: return .nothing
        case .idle: return end(Status(.internalError, "this method takes one request, and none was sent"))
        }
    }

    /// The answer is complete.
    mutating func answered() -> Action {
        guard phase == .answering else { return .nothing }
        phase = .idle
        return method != .chat || hasAll ? end(.ok) : .nothing
    }

    /// The call is gone.
    mutating func gone() { phase = .over }

    private mutating func end(_ status: Status) -> Action {
        phase = .over
        return .end(status)
    }

    private var turnsOver: Status {
        let remedy = "this stream has had \(turnsMax) turns; open another one"
        return Status(
            .resourceExhausted, remedy,
            details: [.quotaFailure(subject: "stream", description: "turnsPerStreamMax: \(remedy)")])
    }
}
