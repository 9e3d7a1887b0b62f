internal import ByteBuffer
package import EventLoop

/// Why a stream ended.
package enum HTTP2StreamEnd: Sendable {
    /// Both ends have sent END_STREAM.
    case finished
    /// RST_STREAM ended it, ours or the peer's.
    case reset(HTTP2ErrorCode)
    /// Its connection ended.
    case connectionLost(ConnectionFailure)
}

/// Receives what arrives on a stream. Every method is called on the loop, while the connection reads or at the end of a
/// turn; a handler may do anything to its stream or connection meanwhile.
@IOLoop
package protocol HTTP2StreamHandler: AnyObject {
    /// A response's header list, or trailers. Not called for a request's, which begin the stream.
    func received(headers: [HTTP2Header], tooLarge: Bool)
    /// Bytes of the body, valid during the call. They count against the windows until `consume`.
    func received(data: UnsafeRawBufferPointer)
    /// The peer has sent END_STREAM.
    func receivedEnd()
    /// `bufferedBytes` fell to the low mark after it had been above the high mark.
    func bufferDrained()
    /// The last call.
    func ended(_ end: HTTP2StreamEnd)
}

/// One request and its response. Owned by its connection until it ends, and by its handler.
@IOLoop
package final class HTTP2Stream {
    package internal(set) var id: Int32
    package var handler: (any HTTP2StreamHandler)?

    /// Nil once the stream has ended.
    package internal(set) var connection: HTTP2Connection?

    /// The peer has sent END_STREAM.
    package internal(set) var remoteEnded = false

    // What is being received. Each header list counts twice, because the call has a copy.
    var headers: [HTTP2Header] = []
    var headerBytes = 0 { didSet { connection?.noteHeld(2 * (headerBytes - oldValue)) } }
    /// The bytes of the request's header list, which the call keeps while trailers come.
    var requestHeaderBytes = 0 { didSet { connection?.noteHeld(2 * (requestHeaderBytes - oldValue)) } }
    var headersTooLarge = false
    var unconsumedBytes = 0

    // The output: bytes, then perhaps trailers. Owned by the stream; freed with it. Proof: used on the loop only, but
    // for `deinit`, which has the last reference.
    nonisolated(unsafe) let output: UnsafeMutablePointer<StreamOutput>
    var trailers: [HTTP2Header]?
    /// The bytes that the handler keeps until the stream has room for them.
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
    /// Leaves the connection, which no longer counts this stream's bytes.
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

    /// Whether `bufferedBytes` went above the high mark and has not yet come back to the low mark.
    package var isAboveHighMark: Bool { output.pointee.isAboveHighMark }

    /// The bytes that can be appended before it is above the high mark.
    package var bytesToHighMark: Int { max(output.pointee.highBytes &- output.pointee.bytes.count &+ 1, 0) }

    /// Whether the whole output was taken into frames.
    package var hasSentAll: Bool { output.pointee.isEnding && output.pointee.bytes.isEmpty }

    /// Makes a peer that delays its window updates send them.
    package func askForWindow() { connection?.askForWindows() }

    /// Begins the response; with `end`, it is the whole of it.
    package func respond(_ headers: [HTTP2Header], end: Bool) {
        guard let connection, !hasBegun else { return }
        begin()
        if end { output.pointee.close() }
        connection.submitResponse(self, headers, end: end)
        connection.scheduleFlush()
    }

    /// Opens the body for `append`.
    func begin() {
        hasBegun = true
        output.pointee.isOpen = true
    }

    /// Appends to the body, in place: `fill` writes all of the bytes, and must not use the stream. False when the
    /// stream has not begun, has ended, or would hold more than `streamBufferBytesMax`; then nothing was appended, and
    /// after the last of these reasons nothing can be appended any more. No system call: what one turn appends is
    /// written at its end.
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

    /// Opens the window again for received bytes that were taken.
    package func consume(_ count: Int) {
        guard let connection, count > 0 else { return }
        let taken = min(count, unconsumedBytes)
        unconsumedBytes -= taken
        connection.consume(self, taken)
    }

    /// Makes nghttp2 ask for bytes again, and schedules a flush for the end of the turn.
    private func wake() {
        output.pointee.isDeferred = false
        connection?.resume(self)
        connection?.scheduleFlush()
    }
}
