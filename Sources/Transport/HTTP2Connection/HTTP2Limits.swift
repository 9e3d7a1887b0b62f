/// What bounds one HTTP/2 connection, in either role.
package struct HTTP2Limits: Sendable {
    /// About what a stream and its call cost besides what they hold.
    static let streamBytes = 4 << 10

    /// Streams that the peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS).
    package var concurrentStreamsMax: UInt32 = 2_048
    /// Bytes that the peer may send on a stream before they are taken (SETTINGS_INITIAL_WINDOW_SIZE).
    package var streamWindowBytes: UInt32 = 256 << 10
    /// The same for all streams of the connection together; bounds what a connection may make us hold.
    package var connectionWindowBytes: UInt32 = 8 << 20
    /// A frame's payload that we accept (SETTINGS_MAX_FRAME_SIZE); the protocol's own least, which requests never fill.
    package var frameBytesMax: UInt32 = 16 << 10
    /// A header list as RFC 9113, section 6.5.2 counts it: names, values and 32 bytes for each field.
    package var headerListBytesMax = 32 << 10
    /// Fields in a header list.
    package var headerCountMax = 128
    /// A stream tells its producer to stop above the high mark and to go on at the low one.
    package var streamBufferHighBytes = 64 << 10
    package var streamBufferLowBytes = 16 << 10
    /// What a producer that does not stop can make a stream hold; then the stream is reset.
    package var streamBufferBytesMax = 12 << 20
    /// Bytes taken out of the streams before they are offered to the socket.
    package var unsentBytesMax = 256 << 10
    /// Bytes sent on one connection in one turn of the loop, before the others get theirs.
    package var sentBytesPerTurnMax = 1 << 20
    /// What comes of reading from one connection in one turn of the loop, in steps of about 100 ns (`WorkSteps`), before
    /// the others get theirs; the rest, of at most 64 KiB, goes on when nothing lighter is to be done.
    package var stepsPerTurnMax = 1_500
    /// Frames waiting to be sent above which nothing more is read while the socket is blocked.
    package var queuedFramesMax = 4_096
    /// From the connection's beginning to the peer's SETTINGS, TLS included.
    package var handshakeMilliseconds: UInt64 = 10_000
    /// From a header block's first byte to its last.
    package var headersMilliseconds: UInt64 = 10_000
    /// A socket that takes nothing for so long, while bytes wait for it, is closed. A closed HTTP/2 window is not this.
    package var writeStallMilliseconds: UInt64 = 120_000
    /// A connection without a stream is closed after so long; 0: never.
    package var idleMilliseconds: UInt64 = 30 * 60_000
    /// A connection takes no new streams after so long, give or take a tenth, so that load spreads anew; 0: never.
    package var ageMilliseconds: UInt64 = 0
    /// How long the streams that are open then may go on, before the connection is closed; 0: for ever.
    package var ageGraceMilliseconds: UInt64 = 0
    /// A peer that has sent nothing for so long is sent a PING; 0: never. A client sends one only while it has streams.
    package var keepaliveMilliseconds: UInt64 = 2 * 3_600_000
    /// It must send something within so long then, or the connection is closed.
    package var keepaliveTimeoutMilliseconds: UInt64 = 20_000
    /// A client's PINGs may be so near to each other, unless we send HEADERS or DATA between them.
    package var pingIntervalMillisecondsMin: UInt64 = 10_000
    /// The same while it has no stream.
    package var idlePingIntervalMillisecondsMin: UInt64 = 60_000
    /// How many of them may come sooner, before the connection ends with "too_many_pings".
    package var pingStrikesMax = 2
    /// From GOAWAY's announcement to its last word, if the peer does not answer the PING between them.
    package var drainNoticeMilliseconds: UInt64 = 1_000
    /// How long, once it takes no new streams, nothing need be read of a stream on which all is said; then it is reset, at the
    /// latest after twice as long.
    package var drainUnreadMilliseconds: UInt64 = 5_000
    /// How long a server waits for the client to close after GOAWAY and the last stream's end; 0: it does not.
    package var drainLingerMilliseconds: UInt64 = 500
    /// A server reads on, for so long and so many bytes, on a connection that it has ended, so that its peer can read why.
    /// So many at once, the youngest: they take no part in what bounds connections.
    package var closingMilliseconds: UInt64 = 1_000
    package var closingBytesMax = 8 << 20
    package var closingConnectionsMax = 256

    // Frames of one connection that cost the peer less than us; above it the connection ends (RFC 9113, section 10.5).
    // Each is what may come at once, and as many come back every second.

    /// CONTINUATION frames of one header block, and its bytes as they are on the wire.
    package var continuationsMax = 8
    package var headerBlockBytesMax = 128 << 10
    package var settingsPerSecondMax = 100
    /// Values in one SETTINGS frame.
    package var settingsEntriesMax = 32
    /// Acknowledgements of SETTINGS and PING; we send few that could be acknowledged.
    package var acknowledgementsPerSecondMax = 100
    package var prioritiesPerSecondMax = 1_000
    /// What a peer may send in answer to our frames, besides the following: four WINDOW_UPDATE and one RST_STREAM on a stream
    /// that has ended, for each DATA and HEADERS frame. So many of either kind are kept for it.
    package var earnedFramesMax = 64 << 10
    /// Besides four for each DATA and HEADERS frame that we send: two for each stream that may be begun at once.
    package var windowUpdatesPerSecondMax = 4_096
    /// DATA frames without a byte, that do not end a stream.
    package var emptyDataPerSecondMax = 1_000
    /// DATA frames of less than 16 bytes, that do not end a stream.
    package var smallDataPerSecondMax = 20_000
    /// Frames that nobody needs to send often: GOAWAY, and those of unknown types.
    package var otherFramesPerSecondMax = 100
    /// Streams that the peer gives up before they have ended: so many at once, so many more per second. A proxy brings
    /// those of all its clients.
    package var resetsAtOnceMax = 2_048
    package var resetsPerSecondMax = 1_000
    /// RST_STREAM on streams that have ended, besides one for each frame that we send: all that are open may end at once,
    /// by both ends.
    package var lateResetsPerSecondMax = 4_096
    /// Streams that the peer breaks, so that we must reset them.
    package var brokenStreamsPerSecondMax = 100
    /// Streams that it opens above `concurrentStreamsMax`.
    package var refusedStreamsPerSecondMax = 100
    /// Header lists above `headerListBytesMax` or with more fields than `headerCountMax`, each of which may be as costly to
    /// decode as a thousand frames.
    package var refusedHeaderListsPerSecondMax = 100
    /// KeyUpdate messages of TLS, which nobody needs but once in millions of records.
    package var keyUpdatesPerSecondMax = 100

    package init() {}
}

extension HTTP2Limits {
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
