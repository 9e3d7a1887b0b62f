/// The limits of the bridge. Those of requests and answers themselves are the agent's.
struct BridgeLimits: Sendable {
    /// Connections that are open at once; further ones wait in the kernel's queue.
    var connectionsMax = 1_024
    /// The body of a request; a longer one is answered 413. The agent's own bound of a message.
    var bodyBytesMax = 4 << 20
    /// The bodies of all requests that are being received; above it a request is answered 503.
    var bodiesBytesMax = 64 << 20
    /// A request's line, or one of its fields, and all of them together; above it 400 and the end of the connection.
    var headBytesMax = 32 << 10
    /// Fields of a request.
    var fieldsMax = 128
    /// Bytes that a client may send for a TLS handshake: it may show a chain of certificates.
    var handshakeBytesMax = 256 << 10
    /// New keys of TLS that a client may ask for on a connection (RFC 8446, section 4.6.3); each is answered.
    var keyUpdatesMax = 64
    /// How long a connection's first request may take to come as far as the end of its head, with the TLS handshake before
    /// it; then the connection is closed.
    var firstHeadSeconds: Int64 = 10
    /// The same of a later request, from the end of the answer before.
    var nextHeadSeconds: Int64 = 60
    /// How long the body of a request may take after its head.
    var bodySeconds: Int64 = 60
    /// How long the bridge waits for further clients, to tell them that their connection ends, before it ends itself.
    var idleMillisecondsAtEnd = 500
    /// The deadline of calls that answer in one message without a model: lists, counts.
    var questionMilliseconds: UInt64 = 30_000
}
