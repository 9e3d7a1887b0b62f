internal import HTTP2Connection

extension Limits {
    /// Every limit, for the owner. GOAWAY and RST_STREAM are HTTP/2's ends of a connection and of a stream.
    package var named: [NamedLimit] { ofConnections + ofCallers + ofMemory + ofMessages + http2.named }

    private var ofConnections: [NamedLimit] {
        [
            NamedLimit(
                "connectionsMax", connectionsMax, counted: true,
                "Connections; for one more, those that have had no call for longest are closed."),
            NamedLimit(
                "acceptsPerTurnMax", acceptsPerTurnMax, "Connections accepted before the others get their turn."),
            NamedLimit(
                "handOverMilliseconds", handOverMilliseconds,
                "For connections on their way to a process that hands over to another."),
            NamedLimit("acceptPauseMilliseconds", acceptPauseMilliseconds, "Rest after descriptors have run out."),
            NamedLimit("lostPeerSeconds", lostPeerSeconds, "Silence on TCP after which a peer is taken for lost."),
            NamedLimit(
                "requestMilliseconds", requestMilliseconds, counted: true,
                "From a call's beginning to the end of its one request; then RESOURCE_EXHAUSTED."),
            NamedLimit(
                "lingerMilliseconds", lingerMilliseconds, "For a call that was ended early to be read to its end."),
            NamedLimit(
                "refusedBodyMilliseconds", refusedBodyMilliseconds, "For a request that is not gRPC to send its body."),
            NamedLimit("toldFailuresPerSecondMax", toldFailuresPerSecondMax, "Failed connections told to the log."),
        ]
    }

    private var ofCallers: [NamedLimit] {
        [
            NamedLimit(
                "callerStepsPerSecondMax", callerStepsPerSecondMax, counted: true,
                "Work for one key, certificate or address, in 100 ns of a core; then what it newly asks for waits."),
            NamedLimit("callerStepsAtOnceMax", callerStepsAtOnceMax, "The same at once, after a rest."),
            NamedLimit(
                "handshakesPerTurnMax", handshakesPerTurnMax,
                "Steps of TLS handshakes before the others get their turn."),
            NamedLimit(
                "handshakesPerSecondMax", handshakesPerSecondMax, counted: true,
                "TLS handshakes begun for one address; more of them wait."),
            NamedLimit(
                "callersMax", callersMax,
                "Callers whose work is counted one by one; more of them share with their neighbours."),
        ]
    }

    private var ofMemory: [NamedLimit] {
        [
            NamedLimit(
                "heldBytesMax", heldBytesMax, counted: true,
                "Answers, messages, header lists and streams; above it who holds most gets GOAWAY ENHANCE_YOUR_CALM."),
            NamedLimit("heldBytesCheckMilliseconds", heldBytesCheckMilliseconds, "How often that is added up."),
            NamedLimit(
                "messageBytesPerConnectionMax", messageBytesPerConnectionMax, counted: true,
                "Messages of one connection that are not done with; the call that goes above it ends RESOURCE_EXHAUSTED."
            ),
            NamedLimit(
                "decompressedBytesPerSecondMax", decompressedBytesPerSecondMax, counted: true,
                "What gzip makes of one connection's messages; above it they wait, and the sender with them."),
            NamedLimit(
                "decompressedBytesPerTurnMax", decompressedBytesPerTurnMax,
                "What gzip makes of a call's messages before the others get their turn."),
            NamedLimit(
                "decompressedBytesPerSecondTotalMax", decompressedBytesPerSecondTotalMax, counted: true,
                "The same for all connections together."),
        ]
    }

    private var ofMessages: [NamedLimit] {
        [
            NamedLimit(
                "messageBytesMax", messageBytesMax, counted: true,
                "A message that is received, decompressed; a longer one ends its call RESOURCE_EXHAUSTED."),
            NamedLimit("compressedBytesMin", compressedBytesMin, "Shorter messages are sent as they are."),
            NamedLimit("statusMessageBytesMax", statusMessageBytesMax, "The message of a status; longer ones are cut."),
            NamedLimit(
                "statusDetailsBytesMax", statusDetailsBytesMax, "Its details; those that do not fit are left out."),
            NamedLimit("queuedMessagesMax", queuedMessagesMax, "Unread messages of a call before its window closes."),
            NamedLimit("queuedBytesMax", queuedBytesMax, "Their bytes."),
        ]
    }
}

extension HTTP2Limits {
    fileprivate var named: [NamedLimit] { ofStreams + ofTime + ofFrames }

    private var ofStreams: [NamedLimit] {
        [
            NamedLimit(
                "concurrentStreamsMax", concurrentStreamsMax, counted: true,
                "Streams of a connection; more get REFUSED_STREAM, or PROTOCOL_ERROR once the peer knows."),
            NamedLimit("streamWindowBytes", streamWindowBytes, "Unread bytes of a stream before its sender must wait."),
            NamedLimit("connectionWindowBytes", connectionWindowBytes, "The same for a connection."),
            NamedLimit(
                "frameBytesMax", frameBytesMax, "A frame; a longer one ends the connection with FRAME_SIZE_ERROR."),
            NamedLimit(
                "headerListBytesMax", headerListBytesMax, counted: true,
                "Metadata of a call; above it RESOURCE_EXHAUSTED, above four times as much GOAWAY."),
            NamedLimit("headerCountMax", headerCountMax, counted: true, "Its fields; above it RESOURCE_EXHAUSTED."),
            NamedLimit(
                "streamBufferHighBytes", streamBufferHighBytes, "Unsent bytes of a stream at which its source stops."),
            NamedLimit("streamBufferLowBytes", streamBufferLowBytes, "And at which it goes on."),
            NamedLimit(
                "streamBufferBytesMax", streamBufferBytesMax, counted: true,
                "Unsent bytes of a stream at which its call ends RESOURCE_EXHAUSTED."),
            NamedLimit("unsentBytesMax", unsentBytesMax, "Bytes of a connection made ready for its socket."),
            NamedLimit("sentBytesPerTurnMax", sentBytesPerTurnMax, "Bytes sent before the others get their turn."),
            NamedLimit(
                "stepsPerTurnMax", stepsPerTurnMax,
                "Work of about 100 ns each that reading asks for before the others get their turn."),
            NamedLimit(
                "queuedFramesMax", queuedFramesMax, counted: true,
                "Frames that wait for a peer that does not read; then nothing more of it is read."),
        ]
    }

    private var ofTime: [NamedLimit] {
        [
            NamedLimit(
                "handshakeMilliseconds", handshakeMilliseconds, counted: true,
                "For TLS and the first SETTINGS; then the connection is closed."),
            NamedLimit(
                "headersMilliseconds", headersMilliseconds, counted: true,
                "From a header block's first byte to its last; then GOAWAY ENHANCE_YOUR_CALM."),
            NamedLimit(
                "writeStallMilliseconds", writeStallMilliseconds, counted: true,
                "Without a byte taken by a socket that bytes wait for; then the connection is closed."),
            NamedLimit(
                "idleMilliseconds", idleMilliseconds, counted: true, "Without a stream; then GOAWAY NO_ERROR."),
            NamedLimit(
                "ageMilliseconds", ageMilliseconds, "A connection's age at which it takes no new streams; 0: none."),
            NamedLimit("ageGraceMilliseconds", ageGraceMilliseconds, "For its streams to end then; 0: for ever."),
            NamedLimit("keepaliveMilliseconds", keepaliveMilliseconds, "Silence after which a peer is sent a PING."),
            NamedLimit(
                "keepaliveTimeoutMilliseconds", keepaliveTimeoutMilliseconds, counted: true,
                "For it to send anything then, or the connection is closed."),
            NamedLimit(
                "pingIntervalMillisecondsMin", pingIntervalMillisecondsMin,
                "Between PINGs, unless we have sent something meanwhile."),
            NamedLimit(
                "idlePingIntervalMillisecondsMin", idlePingIntervalMillisecondsMin, "The same without a stream."),
            NamedLimit(
                "pingStrikesMax", pingStrikesMax, counted: true,
                "PINGs that come sooner; one more: GOAWAY ENHANCE_YOUR_CALM, too_many_pings."),
            NamedLimit("drainNoticeMilliseconds", drainNoticeMilliseconds, "From GOAWAY's notice to its last word."),
            NamedLimit(
                "drainUnreadMilliseconds", drainUnreadMilliseconds, counted: true,
                "For a call that is over to be read on after GOAWAY, again and again; then it is reset."),
            NamedLimit(
                "drainLingerMilliseconds", drainLingerMilliseconds,
                "For it to close after GOAWAY and the last stream's end, or the connection is closed."),
            NamedLimit(
                "closingMilliseconds", closingMilliseconds,
                "For a peer that was cut off to read why, while what it sends is dropped."),
            NamedLimit("closingBytesMax", closingBytesMax, "Bytes that are dropped of such a peer."),
            NamedLimit("closingConnectionsMax", closingConnectionsMax, "Such peers at once; one more ends the oldest."),
        ]
    }

    /// Each of one connection, which one more ends with GOAWAY ENHANCE_YOUR_CALM.
    private var ofFrames: [NamedLimit] {
        let one = "One more ends the connection."
        return [
            NamedLimit(
                "continuationsMax", continuationsMax, counted: true, "CONTINUATION frames of one header block. \(one)"),
            NamedLimit(
                "headerBlockBytesMax", headerBlockBytesMax, counted: true,
                "A header block on the wire, compressed. \(one)"),
            NamedLimit("settingsEntriesMax", settingsEntriesMax, counted: true, "Values in a SETTINGS frame. \(one)"),
            NamedLimit("settingsPerSecondMax", settingsPerSecondMax, counted: true, "SETTINGS frames. \(one)"),
            NamedLimit(
                "acknowledgementsPerSecondMax", acknowledgementsPerSecondMax, counted: true,
                "Acknowledgements of SETTINGS and PING. \(one)"),
            NamedLimit("prioritiesPerSecondMax", prioritiesPerSecondMax, counted: true, "PRIORITY frames. \(one)"),
            NamedLimit(
                "windowUpdatesPerSecondMax", windowUpdatesPerSecondMax, counted: true,
                "WINDOW_UPDATE frames, besides four for each frame that we send. \(one)"),
            NamedLimit(
                "earnedFramesMax", earnedFramesMax,
                "WINDOW_UPDATE, and late RST_STREAM, that our frames allow besides and that have not come yet."),
            NamedLimit("emptyDataPerSecondMax", emptyDataPerSecondMax, counted: true, "DATA without a byte. \(one)"),
            NamedLimit(
                "smallDataPerSecondMax", smallDataPerSecondMax, counted: true, "DATA of less than 16 bytes. \(one)"),
            NamedLimit(
                "otherFramesPerSecondMax", otherFramesPerSecondMax, counted: true,
                "GOAWAY, and frames of unknown types. \(one)"),
            NamedLimit("resetsAtOnceMax", resetsAtOnceMax, "Streams that a client gives up at once. \(one)"),
            NamedLimit("resetsPerSecondMax", resetsPerSecondMax, counted: true, "And in the long run. \(one)"),
            NamedLimit(
                "lateResetsPerSecondMax", lateResetsPerSecondMax, counted: true,
                "RST_STREAM on streams that have ended, besides one for each frame that we send. \(one)"),
            NamedLimit(
                "brokenStreamsPerSecondMax", brokenStreamsPerSecondMax, counted: true,
                "Streams that a client breaks, so that we must reset them. \(one)"),
            NamedLimit(
                "refusedStreamsPerSecondMax", refusedStreamsPerSecondMax, counted: true,
                "Streams opened above concurrentStreamsMax. \(one)"),
            NamedLimit(
                "refusedHeaderListsPerSecondMax", refusedHeaderListsPerSecondMax, counted: true,
                "Header lists above headerListBytesMax or headerCountMax. \(one)"),
            NamedLimit(
                "keyUpdatesPerSecondMax", keyUpdatesPerSecondMax, counted: true, "KeyUpdate messages of TLS. \(one)"),
        ]
    }
}
