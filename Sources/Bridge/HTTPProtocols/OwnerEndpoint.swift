/// One of the requests to the owner's REST: a call of `hearth.admin.v1.Admin`, whose request's fields stand in the path, in
/// the query or in the body. `all` is the whole of it; Docs/http.md lists it, and `OpenAPIDocument` describes it.
package struct OwnerEndpoint: Equatable, Sendable {
    package enum Verb: String, Sendable {
        case get = "GET"
        case post = "POST"
        case delete = "DELETE"
    }

    /// What is asked.
    package enum Question: Equatable, Sendable {
        /// A method of `hearth.admin.v1.Admin`, whose answer this is.
        case call(String)
        /// `ListBackends`, of which only processes that run are shown.
        case running
        /// `Pull`, whose answer is a stream.
        case pull
        /// The counters, for Prometheus.
        case metrics
        /// The description of all this, which needs no key.
        case description
    }

    package let verb: Verb
    /// A part in braces is a field of the call's request.
    package let path: String
    package let question: Question
    /// Fields of the call's request that the query may have, and those that the body may have.
    package let query: [String]
    package let body: [String]

    private init(
        _ verb: Verb, _ path: String, _ question: Question, query: [String] = [], body: [String] = []
    ) {
        self.verb = verb
        self.path = path
        self.question = question
        self.query = query
        self.body = body
    }

    /// What all paths begin with.
    package static let prefix = "/hearth/v1/"
    /// The counters' path, which is Prometheus's own.
    package static let metricsPath = "/metrics"
    private static let descriptionPath = prefix + "openapi.json"

    package static let all: [OwnerEndpoint] = [
        OwnerEndpoint(.get, "/hearth/v1/status", .call("GetStatus")),
        OwnerEndpoint(.get, "/hearth/v1/models", .call("ListModels")),
        OwnerEndpoint(.get, "/hearth/v1/models/{model}", .call("ShowModel")),
        OwnerEndpoint(.post, "/hearth/v1/models/{model}/load", .call("LoadModel")),
        OwnerEndpoint(.post, "/hearth/v1/models/{model}/unload", .call("UnloadModel"), body: ["now"]),
        OwnerEndpoint(.get, "/hearth/v1/ps", .running),
        OwnerEndpoint(.get, "/hearth/v1/turns", .call("ListTurns")),
        OwnerEndpoint(.get, "/hearth/v1/backends", .call("ListBackends")),
        OwnerEndpoint(.post, "/hearth/v1/backends/{backend}/restart", .call("RestartBackend"), body: ["now"]),
        OwnerEndpoint(.get, "/hearth/v1/limits", .call("ListLimits")),
        OwnerEndpoint(.get, "/hearth/v1/keys", .call("ListKeys"), query: ["page_size", "page_token"]),
        OwnerEndpoint(
            .post, "/hearth/v1/keys", .call("CreateKey"),
            body: ["name", "expires_in_seconds", "streams", "tokens_per_minute", "models", "share", "priority"]),
        OwnerEndpoint(.delete, "/hearth/v1/keys/{name}", .call("RevokeKey")),
        OwnerEndpoint(.get, "/hearth/v1/denied/{backend}", .call("ListDenied")),
        OwnerEndpoint(
            .get, "/hearth/v1/logs/{backend}", .call("ReadLog"), query: ["model", "after", "log", "replica"]),
        OwnerEndpoint(.post, "/hearth/v1/pause", .call("Pause"), body: ["unload"]),
        OwnerEndpoint(.post, "/hearth/v1/resume", .call("Resume")),
        OwnerEndpoint(.post, "/hearth/v1/drain", .call("Drain")),
        OwnerEndpoint(.post, "/hearth/v1/pull", .pull, body: ["source", "sha256", "model"]),
        OwnerEndpoint(.get, metricsPath, .metrics), OwnerEndpoint(.get, descriptionPath, .description),
    ]

    /// The methods of `hearth.admin.v1.Admin` that it asks.
    package var calls: [String] {
        switch question {
        case .call(let call): [call]
        case .running: ["ListBackends"]
        case .pull: ["Pull"]
        case .metrics: ["GetStatus", "ListLimits"]
        case .description: []
        }
    }

    /// The call whose request it has, and whose messages it answers with; nil where these are no messages.
    package var schema: MessageSchema.Call? {
        switch question {
        case .call, .running, .pull: calls.first.flatMap { MessageSchema.admin.calls[$0] }
        case .metrics, .description: nil
        }
    }
}

extension OwnerEndpoint {
    /// The endpoint that a request of this method and path means, and the values in the path. Throws 404 for a path that
    /// leads nowhere, and 405 for another method than it takes.
    package static func find(
        _ verb: String, _ path: String
    ) throws(HTTPFailure) -> (OwnerEndpoint, values: [String: String]) {
        let there = all.compactMap { endpoint in endpoint.values(in: path).map { (endpoint, values: $0) } }
        guard !there.isEmpty else {
            throw HTTPFailure(
                404, type: "invalid_request_error", code: "not_found",
                "there is no '\(path.prefix(256))' here; \(descriptionPath) describes what there is")
        }
        // The fields of an answer to HEAD are those of GET (RFC 9110, section 9.3.2).
        let asked = verb == "HEAD" ? Verb.get.rawValue : verb
        guard let found = there.first(where: { $0.0.verb.rawValue == asked }) else {
            throw .method(verb, at: path, allowed: there.map(\.0.verb.rawValue))
        }
        return found
    }

    /// The methods of this path, for who asks before (Fetch, section 4.8).
    package static func verbs(at path: String) -> [Verb] {
        all.filter { $0.values(in: path) != nil }.map(\.verb)
    }

    /// Nil where the path is another.
    private func values(in asked: String) -> [String: String]? {
        let own = path.split(separator: "/", omittingEmptySubsequences: false)
        let parts = asked.split(separator: "/", omittingEmptySubsequences: false)
        guard own.count == parts.count else { return nil }
        var values: [String: String] = [:]
        for (own, part) in zip(own, parts) {
            if own.hasPrefix("{") {
                guard let value = PercentEncoding.decode(part), !value.isEmpty else { return nil }
                values[String(own.dropFirst().dropLast())] = value
            } else if own != part {
                return nil
            }
        }
        return values
    }
}
