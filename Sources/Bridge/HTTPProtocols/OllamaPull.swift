package import InferenceMessages

/// A request of Ollama's `/api/pull`: the owner's, to fetch a model.
package struct OllamaPullRequest: Equatable, Sendable {
    /// As it was written: a tag may choose among several models.
    package var model: String
    package var streams: Bool

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: ["insecure", "model", "name", "password", "stream", "username"])
        let remedy = "registries are spoken to as the owner's settings say"
        try request.refuse(unlessEmpty: [
            ("insecure", "models are fetched by HTTPS only"), ("username", remedy), ("password", remedy),
        ])
        model = try request.modelOrName()
        streams = try request.bool("stream") ?? true
    }
}

/// The lines that tell how a pull gets on. Without a stream, the answer is the object of the last one.
package enum OllamaPullProgress: Equatable, Sendable {
    /// The registry is asked what the model consists of.
    case manifest
    /// `name`: that of the file. `total` and `completed`: bytes; the former is 0 where it is not known. The agent does not
    /// tell the digest of a file before it is here.
    case pulling(name: String, total: UInt64, completed: UInt64)
    case verifying
    /// The model is lent; the last line.
    case success

    package var object: JSONOutput {
        switch self {
        case .manifest: return Self.status("pulling manifest")
        case .pulling(let name, let total, let completed):
            var members: [(String, JSONOutput)] = [("status", .string("pulling \(name)"))]
            if total > 0 { members.append(("total", .integer(Int64(clamping: total)))) }
            members.append(("completed", .integer(Int64(clamping: completed))))
            return .object(members)
        case .verifying: return Self.status("verifying sha256 digest")
        case .success: return Self.status("success")
        }
    }

    private static func status(_ text: String) -> JSONOutput { .object([("status", .string(text))]) }
}

/// A pull in lines of Ollama's protocol.
package struct OllamaPullAnswer: PullAnswer {
    /// The file's name, once it is known.
    private var name: String
    package private(set) var isComplete = false

    package init(_ request: OllamaPullRequest) { name = request.model }

    package var mediaType: String { HTTPDialect.ollama.streamMediaType }

    package func failed(_ failure: HTTPFailure) -> String { HTTPDialect.ollama.lastEvent(failure) }

    package mutating func receive(_ event: Hearth_Admin_V1_PullProgress) throws(HTTPFailure) -> String {
        try progress(event).map { $0.object.text + "\n" } ?? ""
    }

    /// What Ollama's protocol has for it; nil: nothing. Throws the failure of the pull.
    mutating func progress(_ event: Hearth_Admin_V1_PullProgress) throws(HTTPFailure) -> OllamaPullProgress? {
        switch event.event {
        case "resolving": return .manifest
        case "found":
            if !event.text.isEmpty { name = event.text }
            return .pulling(name: name, total: event.totalBytes, completed: 0)
        case "downloading": return .pulling(name: name, total: event.totalBytes, completed: event.doneBytes)
        case "verifying": return .verifying
        case "done":
            isComplete = true
            return .success
        case "failed":
            // As sysexits(3) have it: 75 may go another time.
            throw event.exitCode == 75
                ? HTTPFailure(503, type: "server_error", code: "unavailable", event.text)
                : HTTPFailure(400, type: "invalid_request_error", event.text)
        default: return nil
        }
    }
}

/// What of Ollama's protocol changes the models of a host, which is its owner's alone.
package enum OllamaRefusals {
    /// The failure for a path, whatever the method; nil where it is not refused.
    package static func failure(path: String) -> HTTPFailure? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 2, parts[0].isEmpty, parts[1] == "api", let remedy = remedies[String(parts[2])] else {
            return nil
        }
        return HTTPFailure(
            403, type: "permission_error", code: "permission_denied", "/api/\(parts[2]) is not served here: \(remedy)")
    }

    private static let remedies: [String: String] = [
        "blobs": "the host's owner puts models into its folder, or fetches them with 'hearth pull'",
        "copy": "a model has the name of its file",
        "create": "the host's owner puts models into its folder, or fetches them with 'hearth pull'",
        "delete": "the host's owner removes models from its folder",
        "push": "no model leaves the host",
    ]
}
