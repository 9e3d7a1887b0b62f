internal import BackendIPC
internal import BackendSupervisor
internal import EventLoop
internal import GRPC

/// The one place that maps errors behind the service to the status that a gRPC client is told.
enum StatusMapping {
    /// How long a consumer is told to wait before it sends the same request again.
    private static let retry = Status.Detail.retry(afterMilliseconds: 1_000)

    /// The status of a backend's fault with one request.
    static func status(of fault: Fault, model: String) -> Status {
        let message = fault.message.isEmpty ? "the backend of '\(model)' gave no reason" : fault.message
        switch fault.code {
        case .invalidArgument: return Status(.invalidArgument, message)
        case .contextOverflow:
            return Status(
                .invalidArgument, message, details: [.badRequest(field: "prompt", description: message)])
        case .unsupported: return Status(.unimplemented, message)
        case .overloaded: return Status(.resourceExhausted, message, details: [retry])
        case .internal, .badModel: return Status(.internalError, message)
        }
    }

    /// The process is gone, and the text with it. The reason is for the host's owner, whose paths it may name.
    static func lost(model: String) -> Status {
        Status(
            .unavailable,
            "the backend of '\(model)' was lost; it is being restarted, send the request again", details: [retry])
    }

    /// What another agent has passed on is none of its turns.
    static let passedOnWrongly = Status(
        .unavailable, "this host was upgraded, and does not understand what was begun; send the request again",
        details: [retry])

    /// Another agent takes the place of this one, and the backend cannot go on with what it has begun.
    static func cannotBePassedOn(model: String) -> Status {
        Status(
            .unavailable,
            "this host was upgraded, and the backend of '\(model)' does not go on with what it has begun; send the request "
                + "again", details: [retry])
    }

    /// One process after the other has failed at a request, the last one with nothing else to do.
    static func poisonous(model: String, processes: Int) -> Status {
        Status(
            .internalError,
            "\(processes) processes of '\(model)' in a row failed at this request, the last one while nothing else ran on it; "
                + "it is not tried again, do not send it again as it is")
    }

    /// What would go on with a turn is not what has begun it.
    static func changed(model: String) -> Status {
        Status(
            .unavailable,
            "the backend of '\(model)' was lost, and was changed before it was restarted; send the request again",
            details: [retry])
    }

    /// Its process has ended because the owner of the host wants the memory.
    static func takenBack(model: String) -> Status {
        Status(
            .unavailable,
            "the owner of this host has taken the machine back, and '\(model)' is not in memory any more; send the request "
                + "to another host, or again later")
    }

    static let draining = Status(
        .unavailable,
        "the owner of this host lets it finish what it has, and it takes no new requests; send the request to another host"
    )

    /// A retry makes sense only where the backend comes up by itself.
    @IOLoop
    static func unavailable(_ model: ServedModel) -> Status {
        let backend = model.backend
        guard backend.state != .untrusted else {
            return Status(
                .unavailable,
                "the model '\(model.id)' waits for the owner of this host, who has not accepted its backend as it is now: "
                    + "'hearth backends' says what changed, and to accept it: hearth backends trust \(backend.name)")
        }
        let comesBack = model.state != .unavailable || backend.state == .backingOff
        let remedy = comesBack ? "try again soon" : "only the host's owner can change that"
        return Status(
            .unavailable, "the model '\(model.id)' is \(backend.state.rawValue); \(remedy)",
            details: comesBack ? [retry] : [])
    }

    static func unknown(model: String, known: [String]) -> Status {
        let list = known.isEmpty ? "this host lends no model now" : "this host lends: \(known.joined(separator: ", "))"
        return Status(.notFound, "there is no model '\(model)'; \(list)")
    }

    /// `why` is a sentence with the numbers.
    static func noMemory(model: String, _ why: String) -> Status {
        let message = "the model '\(model)' is not loaded: \(why)"
        return Status(
            .resourceExhausted, message,
            details: [.quotaFailure(subject: "model:\(model)", description: message)])
    }

    static func ambiguous(model: String, among ids: [String]) -> Status {
        let description = "is '\(model)', which could be any of: \(ids.joined(separator: ", "))"
        return RequestValidation.invalid("model", description)
    }

    static func queueFull(model: String, waiting: Int, retryAfterMilliseconds: UInt64 = 1_000) -> Status {
        let message = "all sequences of '\(model)' are taken and \(waiting) requests wait already; try again later"
        return Status(
            .resourceExhausted, message,
            details: [
                .quotaFailure(subject: "model:\(model)", description: "queuedRequestsMax: \(message)"),
                .retry(afterMilliseconds: retryAfterMilliseconds),
            ])
    }

    static func unread(model: String, milliseconds: UInt64) -> Status {
        .limitMet(
            "unreadMilliseconds",
            "the answer was not read for \(milliseconds) ms while others wait for '\(model)'; read it as it comes",
            subject: "stream", details: [retry])
    }

    /// `limit` is the name of one of `InferenceLimits`.
    static func ringFull(_ limit: String, _ value: Int) -> Status {
        .limitMet(limit, "more of the answer waits to be read than the host keeps, \(value)", subject: "turn")
    }

    static func queueTimeOver(model: String, retryAfterMilliseconds: UInt64) -> Status {
        Status(
            .resourceExhausted,
            "no sequence of '\(model)' became free within max_queue_time; try again later, or wait longer",
            details: [.retry(afterMilliseconds: retryAfterMilliseconds)])
    }

    static func notUTF8(model: String) -> Status {
        Status(
            .internalError,
            "the chat template of '\(model)' makes a text that is no UTF-8; name another as chatTemplate in its settings"
        )
    }

    /// Why a turn is not resumed, or cannot be resumable.
    static func status<Turn>(of refusal: ResumableTurns<Turn>.Refusal) -> Status {
        switch refusal {
        case .unknown:
            Status(
                .notFound,
                "there is no turn with this resume_token: its time is over, its end was acknowledged, or the host was "
                    + "started anew; send the request again")
        case .otherCaller:
            Status(
                .permissionDenied,
                "the turn was begun by another caller; resume it with the key or the certificate that began it")
        case .full(let limit, let value):
            .limitMet(
                limit,
                "no more is kept for turns that can be resumed than \(value); end or acknowledge some, or leave "
                    + "out resumable_for", subject: "caller", details: [retry])
        case .reader(let refusal): status(of: refusal)
        }
    }

    static func status(of refusal: TurnReader.Refusal) -> Status {
        switch refusal {
        case .ahead(let last):
            Status(
                .outOfRange,
                "the last event of the turn that was sent is \(last), and a later one is named; name the last one that came"
            )
        case .released(let through):
            Status(
                .dataLoss,
                "the events of the turn up to \(through) are not kept any more; go on after \(through) or later, or send the "
                    + "request again")
        }
    }

    static let takenOver = Status(.aborted, "another call reads the turn on")

    static func lacks(_ capability: String, model: String, remedy: String) -> Status {
        Status(
            .unimplemented,
            "the backend of '\(model)' lacks the capability '\(capability)'; \(remedy)")
    }
}
