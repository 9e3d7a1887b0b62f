internal import BackendIPC
internal import GRPC

/// The one place that turns what went wrong behind the service into what a gRPC client is told.
enum StatusMapping {
    /// A backend's fault with one request.
    static func status(of fault: Fault, model: String) -> Status {
        let message = fault.message.isEmpty ? "the backend of '\(model)' gave no reason" : fault.message
        switch fault.code {
        case .invalidArgument, .contextOverflow: return Status(.invalidArgument, message)
        case .unsupported: return Status(.unimplemented, message)
        case .overloaded: return Status(.resourceExhausted, message)
        case .internal, .badModel: return Status(.internalError, message)
        }
    }

    /// The process is gone, and the text with it.
    static func lost(_ reason: String, model: String) -> Status {
        Status(
            .unavailable,
            "the backend of '\(model)' was lost (\(reason)); it is being restarted, send the request again")
    }

    static func unavailable(model: String, state: String, detail: String) -> Status {
        let because = detail.isEmpty ? "" : ": \(detail)"
        return Status(
            .unavailable,
            "model '\(model)' is \(state)\(because); the host's owner can see why with 'hearth backends'")
    }

    static func unknown(model: String, known: [String]) -> Status {
        let list = known.isEmpty ? "this host lends no model now" : "this host lends: \(known.joined(separator: ", "))"
        return Status(.notFound, "there is no model '\(model)'; \(list)")
    }

    static func queueFull(model: String, waiting: Int) -> Status {
        Status(
            .resourceExhausted,
            "all sequences of '\(model)' are taken and \(waiting) requests wait already; try again later")
    }

    static func queueTimeOver(model: String) -> Status {
        Status(
            .resourceExhausted,
            "no sequence of '\(model)' became free within max_queue_time; try again later, or wait longer")
    }

    static func lacks(_ capability: String, model: String, remedy: String) -> Status {
        Status(
            .unimplemented,
            "the backend of '\(model)' lacks the capability '\(capability)'; \(remedy)")
    }
}
