package import HTTP2Connection
package import LimitDeclaration

/// What bounds a gRPC server or client. GOAWAY and RST_STREAM are HTTP/2's ends of a connection and of a stream.
package struct Limits: LimitGroup {
    // Connections.

    /// Those that have not yet spoken HTTP/2 among them, then those with calls of nobody that a gate knows. If there are none
    /// the new one is closed at once.
    @Limit("Connections; for one more, those that have had no call for longest are closed.", counted: true)
    package var connectionsMax = 16_384
    @Limit("Connections accepted before the others get their turn.")
    package var acceptsPerTurnMax = 16
    /// The server that hands over goes on accepting for so long.
    @Limit("The agent keeps listening for so long after it has handed over to another process.")
    package var handOverMilliseconds: UInt64 = 1_000
    @Limit("The agent accepts no connection for so long after descriptors have run out.")
    package var acceptPauseMilliseconds: UInt64 = 100
    @Limit("Silence on TCP after which a peer is taken for lost.")
    package var lostPeerSeconds: Int32 = 120
    /// Where a method takes one.
    @Limit("A call's one request may take so long to come; then the call ends RESOURCE_EXHAUSTED.", counted: true)
    package var requestMilliseconds: UInt64 = 60_000
    /// The client has so long to take what was already sent.
    @Limit("A call that was ended early is read on for at most so long.")
    package var lingerMilliseconds: UInt64 = 5_000
    /// It is dropped, and answered then.
    @Limit("A request that is not gRPC has so long to send its body.")
    package var refusedBodyMilliseconds: UInt64 = 1_000
    @Limit("Failed connections told to the log.")
    package var toldFailuresPerSecondMax = 20

    // Callers. All that share an address without keys are one.

    /// Half a core, in steps (`WorkSteps`). Answers go on.
    @Limit(
        "Work for one key, certificate or address, in 100 ns of a core; then what it newly asks for waits.",
        counted: true)
    package var callerStepsPerSecondMax = 5_000_000
    /// A tenth of a second.
    @Limit("Work that one key, certificate or address gets at once after a rest, in 100 ns of a core.")
    package var callerStepsAtOnceMax = 1_000_000
    /// Those of all addresses by turns: each may hold a signature, which cannot be cut and takes from 30 µs (P-256) to some
    /// milliseconds (RSA with 4,096 bits).
    @Limit("Steps of TLS handshakes before the others get their turn.")
    package var handshakesPerTurnMax = 2
    /// They may come at once.
    @Limit("TLS handshakes begun for one address; more of them wait.", counted: true)
    package var handshakesPerSecondMax = 200
    /// So many without a key or a certificate, and as many with. Neighbours come from the same part of the Internet.
    @Limit("Callers whose work is counted one by one; more of them share with their neighbours.")
    package var callersMax = 16_384

    // Memory, and the work that few bytes can ask for.

    /// Of all connections together: what waits to be sent, messages as they are counted for one connection, header lists and
    /// 4 KiB for each stream.
    @Limit(
        "Answers, messages, header lists and streams; above it who holds most gets GOAWAY ENHANCE_YOUR_CALM.",
        counted: true)
    package var heldBytesMax = 256 << 20
    @Limit("The agent adds up this often what heldBytesMax bounds.")
    package var heldBytesCheckMilliseconds: UInt64 = 250
    /// Those of all its calls: that are not whole, that wait to be read, and that handlers keep.
    @Limit(
        "Messages of one connection that are not done with; the call that goes above it ends RESOURCE_EXHAUSTED.",
        counted: true)
    package var messageBytesPerConnectionMax = 64 << 20
    @Limit("What gzip makes of one connection's messages; above it they wait, and the sender with them.", counted: true)
    package var decompressedBytesPerSecondMax = 32 << 20
    @Limit("What gzip makes of a call's messages before the others get their turn.")
    package var decompressedBytesPerTurnMax = 64 << 10
    /// A fraction of what one core can do.
    @Limit(
        "What gzip makes of all connections' messages together; above it they wait, and the senders with them.",
        counted: true)
    package var decompressedBytesPerSecondTotalMax = 128 << 20

    // Messages.

    @Limit("A message that is received, decompressed; a longer one ends its call RESOURCE_EXHAUSTED.", counted: true)
    package var messageBytesMax = 4 << 20
    /// Unless their sender says otherwise.
    @Limit("Shorter messages are sent as they are.")
    package var compressedBytesMin = 1_024
    /// Percent-encoded. With the details it stays below the 8 KiB of metadata that gRPC's own clients accept unless they are
    /// told otherwise.
    @Limit("The message of a status; longer ones are cut.")
    package var statusMessageBytesMax = 2 << 10
    /// In base64; the last ones are left out first.
    @Limit("The details of a status; those that do not fit are left out.")
    package var statusDetailsBytesMax = 4 << 10
    /// Those that wait for a typed handler or reader.
    @Limit("Unread messages of a call before its window closes.")
    package var queuedMessagesMax = 64
    @Limit("Bytes of a call's unread messages before its window closes.")
    package var queuedBytesMax = 64 << 10

    /// Of each connection.
    package var http2 = HTTP2Limits()

    package init() {}

    /// A client has asked for what it gets: larger windows, so that one unread stream does not stop the others.
    package static var client: Limits {
        var limits = Limits()
        limits.http2.connectionWindowBytes = 64 << 20
        limits.http2.frameBytesMax = 64 << 10
        limits.http2.idleMilliseconds = 0
        // Servers end connections that ping more often than they like: whoever wants pings says so.
        limits.http2.keepaliveMilliseconds = 0
        // A server may send each token alone.
        limits.http2.smallDataPerSecondMax = .max
        return limits
    }

    /// The same, which pings a server that has been silent for so long while it has a call to answer. One of Hearth's
    /// allows that every ten seconds; others may end the connection (gRPC's proposal A8).
    package static func client(keepaliveMilliseconds: UInt64) -> Limits {
        var limits = client
        limits.http2.keepaliveMilliseconds = keepaliveMilliseconds
        return limits
    }
}
