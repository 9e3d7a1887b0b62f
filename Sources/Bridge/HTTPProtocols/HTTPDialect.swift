internal import GRPC

/// The protocols, as far as they differ for every answer.
package enum HTTPDialect: Sendable {
    case openAI
    case ollama
    case anthropic
    /// The owner's REST, and what else is Hearth's own.
    case hearth

    /// The protocol that a path belongs to.
    package init(path: String) {
        if path.hasPrefix("/api/") {
            self = .ollama
        } else if path == "/v1/messages" || path.hasPrefix("/v1/messages/") {
            self = .anthropic
        } else if path.hasPrefix(OwnerEndpoint.prefix) || path == OwnerEndpoint.metricsPath {
            self = .hearth
        } else {
            self = .openAI
        }
    }

    /// The media type of a stream (RFC 9110, section 8.3.1).
    package var streamMediaType: String {
        switch self {
        case .openAI, .anthropic: "text/event-stream"
        case .ollama, .hearth: "application/x-ndjson"
        }
    }

    /// The body of an answer that is a failure.
    package func body(_ failure: HTTPFailure) -> JSONOutput {
        switch self {
        case .openAI: failure.object
        case .ollama: .object([("error", .string(failure.description))])
        case .anthropic:
            .object([("type", .string("error")), ("error", Self.anthropicError(failure))])
        case .hearth:
            .object([
                (
                    "error",
                    .object([
                        ("code", .integer(Int64(failure.statusCode))), ("message", .string(failure.message)),
                        ("status", .string((failure.grpc ?? Self.status(of: failure.statusCode)).name)),
                    ])
                )
            ])
        }
    }

    /// What a stream that has begun sends last where it failed.
    func lastEvent(_ failure: HTTPFailure) -> String {
        switch self {
        case .openAI: ServerSentEvents.event(body(failure))
        case .anthropic: ServerSentEvents.event(body(failure), named: "error")
        case .ollama, .hearth: body(failure).text + "\n"
        }
    }

    /// The status that says the same of a request that did not come as far as the agent.
    private static func status(of statusCode: Int) -> Status.Code {
        switch statusCode {
        case 401: .unauthenticated
        case 403, 421: .permissionDenied
        case 404: .notFound
        case 405: .unimplemented
        case 413: .resourceExhausted
        case 503: .unavailable
        case 400..<500: .invalidArgument
        default: .internalError
        }
    }

    private static func anthropicError(_ failure: HTTPFailure) -> JSONOutput {
        var members: [(String, JSONOutput)] = [
            ("type", .string(anthropicType(failure))), ("message", .string(failure.description)),
        ]
        if let code = failure.code { members.append(("details", .object([("error_code", .string(code))]))) }
        return .object(members)
    }

    /// Anthropic's classes of errors go by the status code.
    private static func anthropicType(_ failure: HTTPFailure) -> String {
        switch failure.statusCode {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 503: "overloaded_error"
        case 400..<500: "invalid_request_error"
        default: "api_error"
        }
    }
}
