internal import HTTP2Connection

/// The contents of a gRPC request's header list. Pure.
struct RequestHead: Equatable {
    /// The service without slashes: "hearth.v1.Inference".
    var service: String
    var method: String
    var path: String
    var timeoutNanoseconds: UInt64?
    /// The encoding of the request messages.
    var encoding = MessageEncoding.identity
    /// Whether the client accepts compressed answers.
    var acceptsGzip = false
    var metadata: Metadata

    /// Why a request is no call.
    enum Rejection: Error, Equatable {
        /// The request is not gRPC: it gets a plain HTTP answer.
        case http(status: Int, text: String)
        /// The request is gRPC: it gets a status.
        case status(Status)
    }

    init(_ headers: [HTTP2Header], tooLarge: Bool, limits: HTTP2Limits) throws(Rejection) {
        var method = ""
        var path = ""
        var contentType = ""
        var timeout: String?
        var encodingName = MessageEncoding.identity.rawValue
        var acceptedEncodings: [String] = []
        for header in headers {
            switch header.name {
            case ":method": method = header.value
            case ":path": path = header.value
            case "content-type": contentType = header.value
            case "grpc-timeout": timeout = header.value
            case "grpc-encoding": encodingName = header.value
            case "grpc-accept-encoding": acceptedEncodings.append(header.value)
            default: break
            }
        }
        // A field that is missing from a head that is too large may have been dropped.
        guard RequestHead.isGRPC(contentType) || tooLarge && contentType.isEmpty else {
            // The answer to a HEAD has no body (RFC 9110, section 9.3.2).
            let text = "This port speaks gRPC: send content-type application/grpc.\n"
            throw .http(status: 415, text: method == "HEAD" ? "" : text)
        }
        guard method == "POST" || tooLarge && method.isEmpty else {
            throw .http(status: 405, text: method == "HEAD" ? "" : "gRPC calls are POST requests.\n")
        }
        guard !tooLarge else {
            throw .status(RequestHead.tooLarge(headers, limits))
        }
        guard let encoding = MessageEncoding(rawValue: encodingName) else {
            throw .status(
                Status(
                    .unimplemented,
                    "grpc-encoding '\(encodingName)' is not supported; supported are: \(MessageEncoding.accepted)"))
        }
        self.encoding = encoding
        acceptsGzip = MessageEncoding.acceptsGzip(acceptedEncodings)
        if let timeout {
            guard let nanoseconds = CallTimeout.decode(timeout) else {
                throw .status(Status(.internalError, "'\(timeout)' is no grpc-timeout"))
            }
            timeoutNanoseconds = nanoseconds
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty, !parts[1].isEmpty, !parts[2].isEmpty else {
            throw .status(Status(.unimplemented, "'\(path)' is no method: a path is /package.Service/Method"))
        }
        service = String(parts[1])
        self.method = String(parts[2])
        self.path = path
        do throws(Status) {
            metadata = try Metadata(headers: headers, limits: limits)
        } catch {
            throw .status(error)
        }
    }

    /// The status for a header list that is too large, of which only the fields within the limits were kept.
    private static func tooLarge(_ headers: [HTTP2Header], _ limits: HTTP2Limits) -> Status {
        if headers.count >= limits.headerCountMax {
            return .limitMet(
                "headerCountMax", "the metadata has more than \(limits.headerCountMax) fields", subject: "metadata")
        }
        return .limitMet(
            HTTP2Limits.Name.headerListBytesMax.rawValue,
            "the metadata is above \(limits.headerListBytesMax) bytes", subject: "metadata")
    }

    /// "application/grpc", with "+proto" or any other suffix, or parameters.
    static func isGRPC(_ contentType: String) -> Bool {
        let name = "application/grpc"
        guard contentType.lowercased().hasPrefix(name) else { return false }
        let rest = contentType.dropFirst(name.count)
        return rest.isEmpty || rest.first == "+" || rest.first == ";"
    }
}

/// The header lists of a server's answers. Pure.
enum ResponseHead {
    static let accepted = [
        HTTP2Header(":status", "200"), HTTP2Header("content-type", "application/grpc"),
        HTTP2Header("grpc-accept-encoding", MessageEncoding.accepted),
    ]

    static func trailers(_ status: Status, _ metadata: Metadata, limits: Limits = Limits()) -> [HTTP2Header] {
        let status = status.fitting(limits)
        var trailers = [HTTP2Header("grpc-status", String(status.code.rawValue))]
        if !status.message.isEmpty {
            trailers.append(HTTP2Header("grpc-message", PercentEncoding.encode(status.message)))
        }
        guard let details = status.encodedDetails else { return trailers + metadata.headers }
        // These are the details of this status, not those that a handler has copied from another call's trailers.
        trailers.append(HTTP2Header("grpc-status-details-bin", details))
        // What RetryInfo says, for the retry policies of clients, which do not read it (gRFC A6, "Pushback").
        if let milliseconds = status.retryAfterMilliseconds {
            trailers.append(HTTP2Header("grpc-retry-pushback-ms", String(Int32(clamping: milliseconds))))
        }
        let names = trailers.map(\.name)
        return trailers + metadata.headers.filter { !names.contains($0.name) }
    }

    static func notGRPC(status: Int) -> [HTTP2Header] {
        let fields = [HTTP2Header(":status", String(status)), HTTP2Header("content-type", "text/plain")]
        // A 405 must name the allowed methods (RFC 9110, section 15.5.6).
        return status == 405 ? fields + [HTTP2Header("allow", "POST")] : fields
    }
}

extension Status {
    /// The fields that end a call with this status and trailing metadata, in gRPC's own form: `grpc-status`, `grpc-message`
    /// percent-encoded, and values of keys that end in "-bin" in base64. For whoever passes a call on in another protocol.
    package func trailers(_ metadata: Metadata = Metadata()) -> [(name: String, value: String)] {
        ResponseHead.trailers(self, metadata).map { ($0.name, $0.value) }
    }
}

extension Metadata {
    /// The fields of a header list, in the same form.
    package var fields: [(name: String, value: String)] { headers.map { ($0.name, $0.value) } }
}
