/// The text of a stream of events (WHATWG HTML, section 9.2).
package enum ServerSentEvents {
    /// One event with a JSON text, which has no line ends.
    package static func event(_ json: JSONOutput) -> String { "data: \(json.text)\n\n" }

    /// The same, with a name, which has no line ends either.
    package static func event(_ json: JSONOutput, named name: String) -> String {
        "event: \(name)\ndata: \(json.text)\n\n"
    }

    /// What OpenAI's protocol ends a whole stream with. Clients take a stream that is cut before it for whole, too, so
    /// that one that failed has its error as an event, and its body is aborted.
    package static let done = "data: [DONE]\n\n"
}
