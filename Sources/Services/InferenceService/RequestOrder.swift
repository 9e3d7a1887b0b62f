internal import GRPC

/// What becomes of a call as its requests come and are answered: in which order they may come, and when the call ends. Pure:
/// its handler tells it what happened, and does what it returns.
///
/// A request is answered by a turn, or by a count of tokens. Once the call has ended nothing that happens means anything.
struct RequestOrder {
    /// The methods that take a `GenerateRequest`.
    enum Method: Equatable {
        /// One answer after the other.
        case chat
        /// One request and one answer.
        case generate, countTokens
    }

    /// What the handler is to do.
    enum Action: Equatable {
        case nothing
        /// Begin to answer the request that has come.
        case answer
        /// The running answer is to end early; it ends as any other.
        case cancelAnswer
        /// Let go of the answer that runs, if one does, and end the call.
        case end(Status)
    }

    private enum Phase: Equatable { case idle, answering, over }

    let method: Method
    private var phase = Phase.idle
    /// A message has come.
    private var hasMessage = false
    /// The client sends nothing more.
    private var hasAll = false
    /// Answers that were begun, and how many may be: in few bytes, for idle streams come in thousands.
    private var answers: UInt32 = 0
    private let turnsMax: UInt32

    init(_ method: Method, turnsMax: Int) {
        self.method = method
        self.turnsMax = UInt32(clamping: turnsMax)
    }

    var isOver: Bool { phase == .over }

    /// A message came, of which nothing is known yet. `.nothing`: it is to be read.
    mutating func messageCame() -> Action {
        guard phase != .over else { return .nothing }
        defer { hasMessage = true }
        guard method == .chat || !hasMessage else {
            return end(Status(.internalError, "this method takes one request, and a second one was sent"))
        }
        return .nothing
    }

    /// It is a request.
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

    /// It is a `Cancel`; one that comes when nothing is answered means nothing.
    func cancelCame() -> Action { phase == .answering ? .cancelAnswer : .nothing }

    /// It is neither, it cannot be read, or it cannot be answered.
    mutating func refuse(_ status: Status) -> Action { phase == .over ? .nothing : end(status) }

    /// The client has said all.
    mutating func endCame() -> Action {
        hasAll = true
        switch phase {
        case .over, .answering: return .nothing
        case .idle where method == .chat: return end(.ok)
        // What has come is being read.
        case .idle where hasMessage: return .nothing
        case .idle: return end(Status(.internalError, "this method takes one request, and none was sent"))
        }
    }

    /// The answer is whole.
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
