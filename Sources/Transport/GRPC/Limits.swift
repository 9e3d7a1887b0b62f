package import HTTP2Connection
package import LimitDeclaration

/// The limits of a gRPC server or client. GOAWAY ends an HTTP/2 connection, RST_STREAM a stream.
package struct Limits: LimitGroup {
    // Connections.

    /// Connections in their handshake count as having no call. After those without a call go those whose calls have
    /// asked nothing yet, or have no named caller where a gate names callers. If there are none the new connection is
    /// closed at once.
    @Limit("Connections; one more replaces the connection that has had no call for longest.", counted: true)
    package var connectionsMax = 16_384
    @Limit("Connections accepted before other work gets its turn.")
    package var acceptsPerTurnMax = 16
    @Limit("How long the agent accepts no connection after descriptors have run out.")
    package var acceptPauseMilliseconds: UInt64 = 100
    @Limit("Silence of a peer's kernel on TCP after which its connection is closed.")
    package var lostPeerSeconds: Int32 = 120
    /// Applies to methods with one request.
    @Limit("How long a call's single request may take to arrive; then the call ends RESOURCE_EXHAUSTED.", counted: true)
    package var requestMilliseconds: UInt64 = 60_000
    /// How long the client has to read messages that were sent before.
    @Limit("How long the agent goes on reading the requests of a call that it has ended early.")
    package var lingerMilliseconds: UInt64 = 5_000
    /// The body is dropped, and the request answered after it, or after this time.
    @Limit("How long a request that is not gRPC may take to send its body.")
    package var refusedBodyMilliseconds: UInt64 = 1_000
    @Limit("Failed connections written to the log.")
    package var toldFailuresPerSecondMax = 20

    // Callers. All clients that share an address and have no key count as one.

    /// Half a core, in steps (`WorkSteps`). Answers to earlier requests go on.
    @Limit(
        "Work for one key, certificate or address, in 100 ns of a core; above it new requests wait.",
        counted: true)
    package var callerStepsPerSecondMax = 5_000_000
    /// A tenth of a second.
    @Limit("Work for one key, certificate or address at once after a pause, in 100 ns of a core.")
    package var callerStepsAtOnceMax = 1_000_000
    /// Addresses take turns. Each step may contain a signature, which cannot be split and takes from 30 µs (P-256) to
    /// some milliseconds (RSA with 4,096 bits).
    @Limit("Steps of TLS handshakes done before other work gets its turn.")
    package var handshakesPerTurnMax = 2
    /// All of them may come at once.
    @Limit("TLS handshakes begun for one address; further ones wait.", counted: true)
    package var handshakesPerSecondMax = 200
    /// This many without a key or a certificate, and as many with one. Neighbours come from the same part of the
    /// Internet.
    @Limit("Callers whose work is counted separately; further ones share a counter with others.")
    package var callersMax = 16_384

    // Memory, and work that a few bytes can cause.

    /// The sum over all connections: bytes that wait to be sent, messages as they are counted for one connection,
    /// header lists and 4 KiB for each stream.
    @Limit(
        "Answers, messages, header lists and streams; above it the largest holders get GOAWAY ENHANCE_YOUR_CALM.",
        counted: true)
    package var heldBytesMax = 256 << 20
    @Limit("How often the agent adds up the bytes that heldBytesMax bounds.")
    package var heldBytesCheckMilliseconds: UInt64 = 250
    /// Messages of all its calls: incomplete ones, those that wait to be read, and those that handlers keep.
    @Limit(
        "Messages in progress of one connection; the call that exceeds it ends RESOURCE_EXHAUSTED.",
        counted: true)
    package var messageBytesPerConnectionMax = 64 << 20
    @Limit("Decompressed bytes of one connection's messages; above it they wait, and their sender too.", counted: true)
    package var decompressedBytesPerSecondMax = 32 << 20
    @Limit("Decompressed bytes of a call's messages before other work gets its turn.")
    package var decompressedBytesPerTurnMax = 64 << 10
    /// A fraction of what one core can do.
    @Limit(
        "Decompressed bytes of all connections' messages; above it they wait, and their senders too.",
        counted: true)
    package var decompressedBytesPerSecondTotalMax = 128 << 20

    // Messages.

    @Limit("A received message, decompressed; a longer one ends its call RESOURCE_EXHAUSTED.", counted: true)
    package var messageBytesMax = 4 << 20
    /// Unless the sender asks for compression.
    @Limit("The shortest message that is compressed before it is sent.")
    package var compressedBytesMin = 1_024
    /// Percent-encoded. With the details it stays below the 8 KiB of metadata that gRPC's own clients accept unless they are
    /// told otherwise.
    @Limit("The message of a status; longer ones are cut.")
    package var statusMessageBytesMax = 2 << 10
    /// In base64; the last ones are left out first.
    @Limit("The details of a status; those that do not fit are left out.")
    package var statusDetailsBytesMax = 4 << 10
    /// Messages that wait for a typed handler or reader.
    @Limit("Unread messages of a call before its window closes.")
    package var queuedMessagesMax = 64
    @Limit("Bytes of a call's unread messages before its window closes.")
    package var queuedBytesMax = 64 << 10

    /// The limits of each connection.
    package var http2 = HTTP2Limits()

    package init() {}

    /// The limits of a client, which has asked for what it receives: larger windows, so that one unread stream does not
    /// block the others.
    package static var client: Limits {
        var limits = Limits()
        limits.http2.connectionWindowBytes = 64 << 20
        limits.http2.frameBytesMax = 64 << 10
        limits.http2.idleMilliseconds = 0
        // Servers end connections that ping more often than they allow, so a client sends no PINGs unless asked to.
        limits.http2.keepaliveMilliseconds = 0
        // A server may send each token in a DATA frame of its own.
        limits.http2.smallDataPerSecondMax = .max
        return limits
    }

    /// The same with keepalive: PINGs a server that has been silent for this long while a call is open. A Hearth server
    /// allows that every ten seconds; other servers may end the connection (gRPC's proposal A8).
    package static func client(keepaliveMilliseconds: UInt64) -> Limits {
        var limits = client
        limits.http2.keepaliveMilliseconds = keepaliveMilliseconds
        return limits
    }
}
