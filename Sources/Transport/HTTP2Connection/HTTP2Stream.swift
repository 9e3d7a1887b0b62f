internal import ByteBuffer
package import EventLoop

/// Why a stream ended.
package enum HTTP2StreamEnd: Sendable {
    /// Both sides have said all.
    case finished
    /// By RST_STREAM, ours or the peer's.
    case reset(HTTP2ErrorCode)
    /// With its connection.
    case connectionLost(ConnectionFailure)
}

/// Who takes what arrives on a stream. Everything is called from the connection's reading or at a turn's end, on the
/// loop; a handler may do anything to its stream or connection meanwhile.
@IOLoop
package protocol HTTP2StreamHandler: AnyObject {
    /// A response's header list, or trailers. Not called for a request's, which begin the stream.
    func received(headers: [HTTP2Header], tooLarge: Bool)
    /// Bytes of the body, valid during the call. They count against the windows until `consume`.
    func received(data: UnsafeRawBufferPointer)
    /// The peer has said all.
    func receivedEnd()
    /// What is buffered fell to the low mark after it had been above the high one.
    func bufferDrained()
    /// The last call.
    func ended(_ end: HTTP2StreamEnd)
}

/// One request and its response. Owned by its connection until it ends, and by whoever handles it.
@IOLoop
package final class HTTP2Stream {
    package internal(set) var id: Int32
    package var handler: (any HTTP2StreamHandler)?

    /// Nil once the stream has ended.
    package internal(set) var connection: HTTP2Connection?

    /// The peer has said all.
    package internal(set) var remoteEnded = false

    // What is being received.
    // Of a header list a copy goes with the call, so each counts twice.
    var headers: [HTTP2Header] = []
    var headerBytes = 0 { didSet { connection?.noteHeld(2 * (headerBytes - oldValue)) } }
    /// Of the request's header list, which is kept with its call while trailers come.
    var requestHeaderBytes = 0 { didSet { connection?.noteHeld(2 * (requestHeaderBytes - oldValue)) } }
    var headersTooLarge = false
    var unconsumedBytes = 0

    // What is to be sent: bytes, then perhaps trailers. Owned by the stream; freed with it.
    // Proof: used on the loop only, but for `deinit`, which has the last reference.
    nonisolated(unsafe) let output: UnsafeMutablePointer<StreamOutput>
    var trailers: [HTTP2Header]?
    /// What whoever handles the stream keeps until it has room for that.
    package var keptBytes = 0 { didSet { connection?.noteHeld(keptBytes - oldValue) } }
    private var hasBegun = false

    init(id: Int32, connection: HTTP2Connection) {
        self.id = id
        self.connection = connection
        output = .allocate(capacity: 1)
        output.initialize(to: StreamOutput(connection.limits, countedIn: connection.heldByStreams))
        connection.noteHeld(HTTP2Limits.streamBytes)
    }

    deinit {
        output.deinitialize(count: 1)
        output.deallocate()
    }
}

extension HTTP2Stream {
    /// Lets go of the connection, which counts nothing of it any more.
    func leaveConnection() {
        guard let connection else { return }
        output.pointee.close()
        headerBytes = 0
        requestHeaderBytes = 0
        keptBytes = 0
        connection.noteHeld(-HTTP2Limits.streamBytes)
        self.connection = nil
    }

    /// Bytes not yet taken into frames.
    package var bufferedBytes: Int { output.pointee.bytes.count }

    /// Bytes that have been taken into frames since the stream began.
    package var takenBytes: UInt64 { output.pointee.takenBytes }

    /// `bufferedBytes` went above the high mark and has not yet come back to the low one.
    package var isAboveHighMark: Bool { output.pointee.isAboveHighMark }

    /// As many bytes, appended, bring it above the high mark.
    package var bytesToHighMark: Int { max(output.pointee.highBytes &- output.pointee.bytes.count &+ 1, 0) }

    /// All that is to be said was taken into frames.
    package var hasSentAll: Bool { output.pointee.isEnding && output.pointee.bytes.isEmpty }

    /// Has the peer say what it has read of its streams, where it waits with that until there is more to be said.
    package func askForWindow() { connection?.askForWindows() }

    /// Begins the response; with `end`, it is the whole of it.
    package func respond(_ headers: [HTTP2Header], end: Bool) {
        guard let connection, !hasBegun else { return }
        begin()
        if end { output.pointee.close() }
        connection.submitResponse(self, headers, end: end)
        connection.scheduleFlush()
    }

    /// From here on the body can be appended to.
    func begin() {
        hasBegun = true
        output.pointee.isOpen = true
    }

    /// Appends to the body, in place: `fill` writes all of the bytes, and does not use the stream. False when the stream
    /// has not begun, has ended, or would hold more than `streamBufferBytesMax`; then nothing was appended, and nothing is any
    /// more where that was the reason. No system
    /// call: what one turn appends leaves at its end.
    package func append(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Bool {
        guard output.pointee.append(byteCount: byteCount, fill) else { return false }
        if output.pointee.isDeferred { wake() }
        return true
    }

    /// The same for bytes that lie elsewhere, in one copy.
    package func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard output.pointee.append(byteCount: bytes.count, { $0.copyMemory(from: bytes) }) else { return false }
        if output.pointee.isDeferred { wake() }
        return true
    }

    /// Ends the body, with trailers or without.
    package func end(trailers: [HTTP2Header]? = nil) {
        guard connection != nil, output.pointee.isOpen else { return }
        output.pointee.isOpen = false
        output.pointee.isEnding = true
        self.trailers = trailers
        if output.pointee.isDeferred { wake() }
    }

    /// Ends the stream at once; what is buffered is dropped.
    package func reset(_ code: HTTP2ErrorCode) {
        guard let connection else { return }
        output.pointee.close()
        connection.submitReset(self, code)
        connection.scheduleFlush()
    }

    /// Received bytes were taken, so that the peer may send as many again.
    package func consume(_ count: Int) {
        guard let connection, count > 0 else { return }
        let taken = min(count, unconsumedBytes)
        unconsumedBytes -= taken
        connection.consume(self, taken)
    }

    /// Lets nghttp2 ask for bytes again, and sees to it that the turn ends with a flush.
    private func wake() {
        output.pointee.isDeferred = false
        connection?.resume(self)
        connection?.scheduleFlush()
    }
}
