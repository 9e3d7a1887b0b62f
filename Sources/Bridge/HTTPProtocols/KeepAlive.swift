package import LinuxSystem

/// Decides when a stream that has nothing to say sends a comment, so that no proxy takes it for dead: while a request waits in
/// the queue, or its prompt is long. A value: its owner waits and sends.
package struct KeepAlive: Equatable, Sendable {
    /// How long nothing was sent before a comment is. Proxies give up after 60 s by default.
    package static let milliseconds: UInt64 = 15_000

    /// A comment in a stream of events, which clients leave out (WHATWG HTML, section 9.2.6).
    private static let comment = ": keep-alive\n\n"

    /// When something was sent last, or the request came.
    private var sentAt: Monotonic
    private let isPossible: Bool

    /// `streams`: the client takes a stream. Of the protocols' streams, those of JSON lines have no comments.
    package init(_ dialect: HTTPDialect, streams: Bool, at now: Monotonic) {
        isPossible = streams && dialect.streamMediaType == "text/event-stream"
        sentAt = now
    }

    /// Something was sent.
    package mutating func sent(at now: Monotonic) { sentAt = now }

    /// How long to wait for the next event at most; nil: for as long as it takes.
    package func wait(at now: Monotonic) -> UInt64? {
        guard isPossible else { return nil }
        let silent = now.since(sentAt) / 1_000_000
        return Self.milliseconds - min(silent, Self.milliseconds)
    }

    /// What is to be sent now; nil: nothing yet. It counts as sent.
    package mutating func due(at now: Monotonic) -> String? {
        guard wait(at: now) == 0 else { return nil }
        sentAt = now
        return Self.comment
    }
}
