internal import HTTP2Connection

/// The status of a call, read from its trailers or from what came instead of them. Pure.
enum ResponseStatus {
    /// The status in trailers, or in a trailers-only response. Nil: there is no grpc-status.
    static func of(trailers: [HTTP2Header]) -> Status? {
        guard let code = trailers.first(where: { $0.name == "grpc-status" })?.value else { return nil }
        let message = trailers.first { $0.name == "grpc-message" }?.value
        let known = Int(code).flatMap(Status.Code.init(rawValue:))
        let text = message.map(PercentEncoding.decode) ?? ""
        let details = trailers.first { $0.name == "grpc-status-details-bin" }.map { Status.details(in: $0.value) }
        return known.map { Status($0, text, details: details ?? []) }
            ?? Status(.unknown, "the server sent grpc-status '\(code)' \(text)")
    }

    /// The status for a response's first header list that is not gRPC; nil when it is
    /// (grpc/doc/http-grpc-status-mapping.md).
    static func of(headers: [HTTP2Header]) -> Status? {
        let status = headers.first { $0.name == ":status" }?.value ?? ""
        guard status == "200" else {
            let code: Status.Code =
                switch status {
                case "400": .internalError
                case "401": .unauthenticated
                case "403": .permissionDenied
                case "404": .unimplemented
                case "429", "502", "503", "504": .unavailable
                default: .unknown
                }
            return of(trailers: headers) ?? Status(code, "the server answered with HTTP status \(status)")
        }
        let type = headers.first { $0.name == "content-type" }?.value ?? ""
        guard RequestHead.isGRPC(type) else {
            return Status(.unknown, "the server answered with content-type '\(type)', not gRPC")
        }
        if let encoding = headers.first(where: { $0.name == "grpc-encoding" })?.value,
            MessageEncoding(rawValue: encoding) == nil
        {
            return Status(
                .internalError, "the server answered with grpc-encoding '\(encoding)', which was not asked for")
        }
        return nil
    }

    /// The encoding of the messages that follow a gRPC response's first header list.
    static func encoding(of headers: [HTTP2Header]) -> MessageEncoding {
        headers.first { $0.name == "grpc-encoding" }.flatMap { MessageEncoding(rawValue: $0.value) } ?? .identity
    }

    /// The status for a stream that ended without trailers (grpc/doc/PROTOCOL-HTTP2.md, "Errors").
    static func of(_ end: HTTP2StreamEnd) -> Status {
        switch end {
        case .finished: return Status(.internalError, "the server ended the call without a status")
        case .connectionLost(let failure): return Status(.unavailable, "the connection was lost: \(failure)")
        case .reset(let error):
            let code: Status.Code =
                switch error {
                case .refusedStream: .unavailable
                case .cancel: .cancelled
                case .enhanceYourCalm: .resourceExhausted
                case .inadequateSecurity: .permissionDenied
                default: .internalError
                }
            return Status(code, "the server reset the stream with HTTP/2 error \(error.rawValue)")
        }
    }
}
