package import GRPC

/// Why a request over HTTP got no answer, or no whole one: the status code, and an error object as OpenAI's protocol
/// has it.
package struct HTTPFailure: Error, Equatable, CustomStringConvertible {
    /// The HTTP status code, for an answer that has not begun.
    package var statusCode: Int
    /// The class of the error, as clients tell them apart: "invalid_request_error", "rate_limit_error"...
    package var type: String
    /// The kind of the error, where it has one.
    package var code: String?
    /// The path of the request's field that is wrong, as in `messages[0].content`.
    package var param: String?
    /// A sentence that names the problem and the remedy.
    package var message: String
    /// When the same request can succeed: the value of the field Retry-After, in whole seconds.
    package var retryAfterSeconds: UInt64?
    /// The methods that the path takes, where the request has another.
    package var allowed: [String] = []
    /// The status that ended a call; nil where none did.
    package var grpc: Status.Code?

    package init(
        _ statusCode: Int, type: String, code: String? = nil, param: String? = nil, _ message: String,
        retryAfterSeconds: UInt64? = nil
    ) {
        self.statusCode = statusCode
        self.type = type
        self.code = code
        self.param = param
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// A field that cannot be taken as it is: 400 with its path.
    package static func invalid(_ param: String?, _ message: String, code: String? = nil) -> HTTPFailure {
        HTTPFailure(400, type: "invalid_request_error", code: code, param: param, message)
    }

    /// Another method than the path takes: 405.
    package static func method(_ method: String, at path: String, allowed: [String]) -> HTTPFailure {
        var failure = HTTPFailure(
            405, type: "invalid_request_error", code: "method_not_allowed",
            "\(path.prefix(256)) takes \(allowed.joined(separator: " and ")), not \(method.prefix(32))")
        failure.allowed = allowed
        return failure
    }

    package var description: String { param.map { "\($0): \(message)" } ?? message }

    /// The body of an answer, or the last event of a stream: `{"error": {...}}`.
    package var object: JSONOutput { .object([("error", error)]) }

    /// The error object.
    var error: JSONOutput {
        .object([
            ("message", .string(message)), ("type", .string(type)), ("param", param.map { .string($0) } ?? .null),
            ("code", code.map { .string($0) } ?? .null),
        ])
    }
}

extension HTTPFailure {
    /// What a client over HTTP is told for the status that ended a call. `fields` turns a path of hearth.v1 into that
    /// of the request's own field.
    package init(_ status: Status, fields: (String) -> String? = { $0 }) {
        let kind = Self.kind(of: status.code)
        self.init(kind.statusCode, type: kind.type, code: kind.code, status.message)
        grpc = status.code
        if message.isEmpty { message = "the request ended \(status.code.name)" }
        if let field = status.badFields.first {
            param = fields(field)
            // The agent names the prompt as a whole where it does not fit the model's context.
            if field == "prompt", status.code == .invalidArgument { code = "context_length_exceeded" }
        }
        if status.code == .notFound { param = "model" }
        retryAfterSeconds = status.retryAfterMilliseconds.map { max(1, $0 / 1_000 + ($0 % 1_000 == 0 ? 0 : 1)) }
    }

    private static func kind(of code: Status.Code) -> (statusCode: Int, type: String, code: String?) {
        switch code {
        case .invalidArgument, .failedPrecondition, .outOfRange: (400, "invalid_request_error", nil)
        // No 501: clients repeat a request that ended 5xx, and this one would end so again.
        case .unimplemented: (400, "invalid_request_error", "unsupported")
        case .unauthenticated: (401, "authentication_error", "invalid_api_key")
        case .permissionDenied: (403, "permission_error", "permission_denied")
        case .notFound: (404, "invalid_request_error", "model_not_found")
        case .aborted, .alreadyExists: (409, "conflict_error", nil)
        case .resourceExhausted: (429, "rate_limit_error", "rate_limit_exceeded")
        case .unavailable: (503, "server_error", "unavailable")
        case .deadlineExceeded: (504, "server_error", "timeout")
        case .cancelled: (500, "server_error", "cancelled")
        case .ok, .unknown, .internalError, .dataLoss: (500, "server_error", nil)
        }
    }
}
