package import LimitDeclaration

/// The limits of one HTTP/2 connection, in either role.
package struct HTTP2Limits: LimitGroup {
    /// The approximate cost of a stream and its call besides the bytes that they hold.
    static let streamBytes = 4 << 10

    // Streams.

    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    @Limit("Streams of a connection; more get REFUSED_STREAM, or PROTOCOL_ERROR once the peer knows.", counted: true)
    package var concurrentStreamsMax: UInt32 = 2_048
    /// SETTINGS_INITIAL_WINDOW_SIZE.
    @Limit("Unread bytes of a stream before its sender must wait.")
    package var streamWindowBytes: UInt32 = 256 << 10
    /// Bounds the received bytes that a connection makes us hold.
    @Limit("Unread bytes of a connection before its sender must wait.")
    package var connectionWindowBytes: UInt32 = 8 << 20
    /// SETTINGS_MAX_FRAME_SIZE, of payloads; the protocol's minimum, which requests never fill.
    @Limit("A frame; a longer one ends the connection with FRAME_SIZE_ERROR.")
    package var frameBytesMax: UInt32 = 16 << 10
    /// As RFC 9113, section 6.5.2 counts it: names, values and 32 bytes for each field.
    @Limit("Metadata of a call; above it RESOURCE_EXHAUSTED, above four times as much GOAWAY.", counted: true)
    package var headerListBytesMax = 32 << 10
    @Limit("Fields of a call's metadata; above it RESOURCE_EXHAUSTED.", counted: true)
    package var headerCountMax = 128
    @Limit("Unsent bytes of a stream at which its source stops.")
    package var streamBufferHighBytes = 64 << 10
    @Limit("Unsent bytes of a stream at which its source goes on again.")
    package var streamBufferLowBytes = 16 << 10
    /// Met only by a source that does not stop at the high mark.
    @Limit("Unsent bytes of a stream at which its call ends RESOURCE_EXHAUSTED.", counted: true)
    package var streamBufferBytesMax = 12 << 20
    /// The bytes are taken out of the streams before they are written to the socket.
    @Limit("Bytes of a connection prepared for its socket.")
    package var unsentBytesMax = 256 << 10
    @Limit("Bytes of a connection sent before other work gets its turn.")
    package var sentBytesPerTurnMax = 1 << 20
    /// In steps (`WorkSteps`); the rest, of at most 64 KiB, goes on when no lighter work waits.
    @Limit("Work for a connection's input, in 100 ns of a core, before other work gets its turn.")
    package var stepsPerTurnMax = 1_500
    @Limit("Frames that wait for a peer that does not read; above it the peer is not read either.", counted: true)
    package var queuedFramesMax = 4_096

    // Time.

    @Limit("How long TLS and the first SETTINGS may take; then the connection is closed.", counted: true)
    package var handshakeMilliseconds: UInt64 = 10_000
    @Limit("How long a header block may take to arrive; then GOAWAY ENHANCE_YOUR_CALM.", counted: true)
    package var headersMilliseconds: UInt64 = 10_000
    /// A closed HTTP/2 window does not count.
    @Limit("A socket that accepts nothing for this long, while bytes wait for it, is closed.", counted: true)
    package var writeStallMilliseconds: UInt64 = 120_000
    /// 0: for ever.
    @Limit("A connection without a stream for this long gets GOAWAY NO_ERROR.", counted: true)
    package var idleMilliseconds: UInt64 = 30 * 60_000
    /// Varied by up to a tenth, so that clients do not all reconnect at once.
    @Limit("The age at which a connection takes no new streams; 0: never.")
    package var ageMilliseconds: UInt64 = 0
    @Limit("How long streams may go on after their connection has reached that age; 0: for ever.")
    package var ageGraceMilliseconds: UInt64 = 0
    /// 0: none. A client sends one only while it has streams.
    @Limit("Silence of a peer after which the agent sends it a PING.")
    package var keepaliveMilliseconds: UInt64 = 2 * 3_600_000
    @Limit("A peer that sends nothing for this long after a keepalive PING is disconnected.", counted: true)
    package var keepaliveTimeoutMilliseconds: UInt64 = 20_000
    /// HEADERS or DATA count as sent.
    @Limit("The shortest time between a client's PINGs, unless we have sent something meanwhile.")
    package var pingIntervalMillisecondsMin: UInt64 = 10_000
    @Limit("The shortest time between the PINGs of a client without a stream.")
    package var idlePingIntervalMillisecondsMin: UInt64 = 60_000
    @Limit("PINGs that come too soon; one more: GOAWAY ENHANCE_YOUR_CALM, too_many_pings.", counted: true)
    package var pingStrikesMax = 2
    /// This time applies if the peer does not answer the PING between the two GOAWAYs.
    @Limit("The final GOAWAY follows the first one after this long, or once the peer has answered.")
    package var drainNoticeMilliseconds: UInt64 = 1_000
    /// The call is reset at the latest after twice this time without a read.
    @Limit("After GOAWAY, a call that has ended and stays unread for this long is reset.", counted: true)
    package var drainUnreadMilliseconds: UInt64 = 60_000
    /// 0: the agent does not wait for the client to close.
    @Limit("How long a client may take to close after GOAWAY and its last stream; then we close.")
    package var drainLingerMilliseconds: UInt64 = 500
    @Limit("How long a peer that was cut off may read the reason, while its input is discarded.")
    package var closingMilliseconds: UInt64 = 1_000
    @Limit("Bytes of a peer that was cut off that are discarded before its connection is closed.")
    package var closingBytesMax = 8 << 20
    /// They do not count against `connectionsMax`.
    @Limit("Connections that were cut off and are not closed yet; one more closes the oldest.")
    package var closingConnectionsMax = 256

    // Frames of one connection that cost the peer less than us; above it the connection ends with GOAWAY
    // ENHANCE_YOUR_CALM (RFC 9113, section 10.5). A limit per second is a token bucket of that size and rate.

    @Limit("CONTINUATION frames of one header block. One more ends the connection.", counted: true)
    package var continuationsMax = 8
    @Limit("A header block on the wire, compressed. One more ends the connection.", counted: true)
    package var headerBlockBytesMax = 128 << 10
    @Limit("Values in a SETTINGS frame. One more ends the connection.", counted: true)
    package var settingsEntriesMax = 32
    @Limit("SETTINGS frames. One more ends the connection.", counted: true)
    package var settingsPerSecondMax = 100
    /// We send few frames that could be acknowledged.
    @Limit("Acknowledgements of SETTINGS and PING. One more ends the connection.", counted: true)
    package var acknowledgementsPerSecondMax = 100
    @Limit("PRIORITY frames. One more ends the connection.", counted: true)
    package var prioritiesPerSecondMax = 1_000
    /// Two for each stream that may be begun at once.
    @Limit(
        "WINDOW_UPDATE frames, besides four for each frame that we send. One more ends the connection.", counted: true)
    package var windowUpdatesPerSecondMax = 4_096
    /// Each DATA and HEADERS frame of ours allows the peer four WINDOW_UPDATE, and one RST_STREAM on a stream that has
    /// ended. At most this many of either kind are saved up.
    @Limit("WINDOW_UPDATE and late RST_STREAM frames that our frames allow and that have not come yet.")
    package var earnedFramesMax = 64 << 10
    /// A frame that ends a stream does not count, here and in the next limit.
    @Limit("DATA frames without a byte. One more ends the connection.", counted: true)
    package var emptyDataPerSecondMax = 1_000
    @Limit("DATA frames of less than 16 bytes. One more ends the connection.", counted: true)
    package var smallDataPerSecondMax = 20_000
    /// No client needs to send them often.
    @Limit("GOAWAY frames, and frames of unknown types. One more ends the connection.", counted: true)
    package var otherFramesPerSecondMax = 100
    /// Streams reset before they have ended. A proxy sends the resets of all its clients.
    @Limit("Streams that a client resets at once. One more ends the connection.")
    package var resetsAtOnceMax = 2_048
    @Limit("Streams that a client resets every second in the long run. One more ends the connection.", counted: true)
    package var resetsPerSecondMax = 1_000
    /// Both ends may end all open streams at once.
    @Limit(
        "RST_STREAM frames on ended streams, besides one for each frame that we send. One more ends the connection.",
        counted: true)
    package var lateResetsPerSecondMax = 4_096
    @Limit("Streams that a client breaks, so that we must reset them. One more ends the connection.", counted: true)
    package var brokenStreamsPerSecondMax = 100
    @Limit("Streams opened above concurrentStreamsMax. One more ends the connection.", counted: true)
    package var refusedStreamsPerSecondMax = 100
    /// One may be as costly to decode as a thousand frames.
    @Limit("Header lists above headerListBytesMax or headerCountMax. One more ends the connection.", counted: true)
    package var refusedHeaderListsPerSecondMax = 100
    /// TLS needs one only in millions of records.
    @Limit("KeyUpdate messages of TLS. One more ends the connection.", counted: true)
    package var keyUpdatesPerSecondMax = 100

    package init() {}
}

extension HTTP2Limits {
    /// The limits that all connections of a server share by reference.
    package final class Shared: Sendable {
        let values: HTTP2Limits

        package init(_ values: HTTP2Limits) { self.values = values }
    }

    /// The limits that end or refuse something when they are met, named as above.
    package enum Name: String, CaseIterable, Sendable {
        case concurrentStreamsMax, headerListBytesMax, streamBufferBytesMax, queuedFramesMax
        case handshakeMilliseconds, headersMilliseconds, writeStallMilliseconds, idleMilliseconds
        case keepaliveTimeoutMilliseconds, pingStrikesMax, drainUnreadMilliseconds
        case continuationsMax, headerBlockBytesMax, settingsPerSecondMax, settingsEntriesMax
        case acknowledgementsPerSecondMax, prioritiesPerSecondMax, windowUpdatesPerSecondMax
        case emptyDataPerSecondMax, smallDataPerSecondMax, otherFramesPerSecondMax, resetsPerSecondMax
        case lateResetsPerSecondMax, brokenStreamsPerSecondMax, refusedStreamsPerSecondMax
        case keyUpdatesPerSecondMax, refusedHeaderListsPerSecondMax
    }
}
