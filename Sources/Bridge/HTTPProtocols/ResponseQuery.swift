/// What a request for a stored response asks in its query: `GET /v1/responses/ID?stream=true&starting_after=7`.
package struct ResponseQuery: Equatable, Sendable {
    /// Whether the answer is the stream of its events.
    package let streams: Bool
    /// The number of the last event that the client has; nil: none.
    package let after: Int64?

    /// Those that change nothing in the answer.
    private static let withoutEffect: Set<String> = ["include", "include[]", "include_obfuscation"]

    /// `lastEventID`: the field Last-Event-ID, with which a browser comes back to a stream (WHATWG HTML, section 9.2.4).
    /// Throws 400 for a parameter that is unknown, or has no such value.
    package init(_ query: String?, lastEventID: String?) throws(HTTPFailure) {
        var streams = false
        var after: Int64?
        for pair in (query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? String(parts[1]) : ""
            switch PercentEncoding.decode(parts[0]) ?? "" {
            case "stream":
                guard value == "true" || value == "false" else {
                    throw .invalid("stream", "the query parameter 'stream' must be true or false")
                }
                streams = value == "true"
            case "starting_after": after = try Self.number(value, "starting_after")
            case let name where Self.withoutEffect.contains(name): break
            case let name:
                throw .invalid(
                    String(name.prefix(64)),
                    "the query parameter '\(name.prefix(64))' is unknown here; there are: stream, starting_after",
                    code: "unknown_parameter")
            }
        }
        if after != nil, !streams {
            throw .invalid("starting_after", "the query parameter 'starting_after' needs stream=true")
        }
        if let lastEventID {
            after = try Self.number(lastEventID, "Last-Event-ID")
            streams = true
        }
        (self.streams, self.after) = (streams, after)
    }

    private static func number(_ text: String, _ name: String) throws(HTTPFailure) -> Int64 {
        guard let number = Int64(text), number >= 0 else {
            throw .invalid(name, "'\(name)' must be the sequence_number of an event, a whole number from 0")
        }
        return number
    }
}
