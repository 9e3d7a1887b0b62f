package import HTTP2Connection

/// What bounds a gRPC server or client.
package struct Limits: Sendable {
    /// A message that is received, decompressed; above it the call ends RESOURCE_EXHAUSTED.
    package var messageBytesMax = 4 << 20
    /// A message that is sent; one that is shorter is compressed only when its sender says so.
    package var compressedBytesMin = 1_024
    /// The message of a status that is sent, percent-encoded; what is longer is cut. With the details it stays below the
    /// 8 KiB of metadata that gRPC's own clients accept unless they are told otherwise.
    package var statusMessageBytesMax = 2 << 10
    /// The details of a status that is sent, in base64; those that do not fit are left out, the last first.
    package var statusDetailsBytesMax = 4 << 10
    /// What is held of messages of all calls of one connection together: those that are not whole, that wait to be read, and
    /// that handlers keep. A call that goes above it ends RESOURCE_EXHAUSTED.
    package var messageBytesPerConnectionMax = 64 << 20
    /// What compressed messages of one connection hold, each second; the next ones wait, and the sender's windows close.
    /// Bounds the work that few bytes can ask for.
    package var decompressedBytesPerSecondMax = 32 << 20
    /// What is decompressed of one call's messages before the others get their turn of the loop.
    package var decompressedBytesPerTurnMax = 64 << 10
    /// What is decompressed for all connections together, each second: a fraction of what one core can do.
    package var decompressedBytesPerSecondTotalMax = 128 << 20
    /// What all connections together make a server hold: what waits to be sent, messages as they are counted for one
    /// connection, header lists and 4 KiB for each stream. Above it the connections that hold most end, with
    /// ENHANCE_YOUR_CALM.
    package var heldBytesMax = 256 << 20
    /// How often that is looked at.
    package var heldBytesCheckMilliseconds: UInt64 = 250
    /// Connections that a server holds; for one more, those go that have had no call for longest, those that have not yet
    /// spoken HTTP/2 among them, then those with calls of nobody that a gate knows. If there are none it is closed at once.
    package var connectionsMax = 16_384
    /// What one caller may cost in the long run, in steps of about 100 ns of one core (`WorkSteps`): half a core. What it
    /// newly asks for waits then, and answers go on. All that share an address without keys are one caller.
    package var callerStepsPerSecondMax = 5_000_000
    /// And at once, after a rest: a tenth of a second.
    package var callerStepsAtOnceMax = 1_000_000
    /// Callers without a key or a certificate whose steps are counted one by one, and as many with; for more of them at the
    /// same time, those share that come from the same part of the Internet.
    package var callersMax = 16_384
    /// Steps of TLS handshakes in one turn of the loop, those of all addresses by turns: each may hold a signature, which
    /// cannot be cut and takes from 30 µs (P-256) to some milliseconds (RSA with 4,096 bits).
    package var handshakesPerTurnMax = 2
    /// TLS handshakes begun for one address, which may come at once; those above it wait.
    package var handshakesPerSecondMax = 200
    /// Failures of connections that a server tells of, for a log.
    package var toldFailuresPerSecondMax = 20
    /// Connections accepted in one turn of the loop.
    package var acceptsPerTurnMax = 16
    /// How long a server that ran out of descriptors waits before it accepts again.
    package var acceptPauseMilliseconds: UInt64 = 100
    /// A peer that answers nothing at all for so long, not even on TCP, is lost.
    package var lostPeerSeconds: Int32 = 120
    /// From a call's beginning to its request, whole, where a method takes one.
    package var requestMilliseconds: UInt64 = 60_000
    /// How long a call that the server ended early may take to hand over what it has already sent.
    package var lingerMilliseconds: UInt64 = 5_000
    /// How long a request that is not gRPC may go on sending its body before it is answered; until then it is dropped.
    package var refusedBodyMilliseconds: UInt64 = 1_000
    /// How long a server that hands over to another process goes on accepting what was on its way to it.
    package var handOverMilliseconds: UInt64 = 1_000
    /// Messages, and their bytes, that wait for a typed handler or reader before the peer's window closes.
    package var queuedMessagesMax = 64
    package var queuedBytesMax = 64 << 10
    /// Of each connection. A stream's high mark is 64 KiB, its low mark 16 KiB.
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
