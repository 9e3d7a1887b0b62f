internal import ByteBuffer
internal import CNghttp2
internal import EventLoop
internal import LinuxSystem

/// Frames on their way from nghttp2 to a socket; one for all connections, empty between flushes.
@IOLoop private var frames = ByteQueue(idleBytesMax: .max)

extension HTTP2Connection: TurnEndHandler {
    func scheduleFlush() {
        guard !isFlushScheduled, !isClosed else { return }
        isFlushScheduled = true
        IOLoop.atTurnEnd(self)
    }

    package func turnEnded() {
        // The loop has kept a closed connection alive until now, so that it outlived the callbacks on the stack.
        guard !isClosed else { return }
        isFlushScheduled = false
        flush()
    }

    /// Takes frames from nghttp2 and writes them to the socket, until nghttp2 has no more, the socket is blocked, or
    /// the turn's share is sent. A blocked socket is waited for with EPOLLOUT.
    func flush() {
        do throws(ConnectionFailure) {
            if life.carriesBytes, !isBlocked { try send() }
            if case .ending(let ending, let farewell) = life.phase { try leave(ending, farewell) }
        } catch {
            fail(life.ending?.failure ?? error)
            return
        }
        guard life.carriesBytes else { return }
        if !isBlocked, !hasMoreToSend, !session.wantsRead, !session.wantsWrite, !life.isLingering,
            pendingInput.isEmpty
        {
            fail(ConnectionFailure(.closed, "the connection has ended"))
            return
        }
        updateInterest()
        if !drainedStreams.isEmpty { scheduleDrained() }
    }

    /// Closes the connection after the bytes that are ready were sent, or waits for the next turn to send the rest.
    private func leave(_ ending: Ending, _ farewell: ConnectionLife.Farewell) throws(ConnectionFailure) {
        if hasMoreToSend, !isBlocked { return }
        if farewell == .goAway { submitGoAway(ending.code, debugData: ending.debugData) }
        if farewell != .nothing, !isBlocked { try send() }
        throw ending.failure
    }

    private func send() throws(ConnectionFailure) {
        hasMoreToSend = false
        defer { noteProgress() }
        try sendUnsent()
        if !isBlocked, let reason = life.lastWord() { sayLastStream(reason) }
        var share = limits.sentBytesPerTurnMax
        while !isBlocked, !isClosed {
            defer { frames.removeAll() }
            let mayHaveMore = try pull()
            if frames.isEmpty { return }
            let count = frames.count
            let sent = try write(frames.bytes)
            if sent < count { unsent.append(UnsafeRawBufferPointer(rebasing: frames.bytes[sent...])) }
            if !mayHaveMore { return }
            share -= sent
            if share <= 0 {
                hasMoreToSend = true
                return
            }
        }
    }

    /// Fills `frames`, up to the limit and one frame; returns whether nghttp2 may have more.
    private func pull() throws(ConnectionFailure) -> Bool {
        while frames.count < limits.unsentBytesMax, !isClosed {
            guard try pullFrame() else { return false }
        }
        return true
    }

    /// False: nghttp2 has nothing more.
    private func pullFrame() throws(ConnectionFailure) -> Bool {
        var bytes: UnsafePointer<UInt8>?
        // `takeData` appends DATA frames itself; they are not in `bytes`.
        let before = frames.count
        let count = nghttp2_session_mem_send(session.pointer, &bytes)
        if count < 0 {
            throw ConnectionFailure(.violation, "HTTP/2: \(String(cString: nghttp2_strerror(Int32(count))))")
        }
        if count > 0 {
            frames.append(UnsafeRawBufferPointer(start: bytes, count: count))
            return true
        }
        // After DATA it goes on to the next frame by itself, unless `takeData` has paused it.
        return frames.count > before && frames.count >= limits.unsentBytesMax
    }

    /// Takes the whole answer to a request out of nghttp2, before the rest of the request makes nghttp2 drop it. The
    /// answer is written to the socket at the end of the turn. nghttp2 puts DATA frames after it, so that few other
    /// frames are taken with it.
    func takeAnswer(of stream: Int32) throws(ConnectionFailure) {
        defer { frames.removeAll() }
        while streams[stream] != nil, !isClosed, try pullFrame() {}
        unsent.append(frames.bytes)
    }

    /// Writes what an earlier flush left.
    private func sendUnsent() throws(ConnectionFailure) {
        guard !unsent.isEmpty else { return }
        unsent.removeFirst(try write(unsent.bytes))
    }

    /// Writes until all bytes were written or the socket is blocked.
    private func write(_ bytes: UnsafeRawBufferPointer) throws(ConnectionFailure) -> Int {
        var sent = 0
        while sent < bytes.count, !isBlocked {
            switch try transport.write(UnsafeRawBufferPointer(rebasing: bytes[sent...])) {
            case .moved(let count): sent += count
            case .wouldBlock, .ended: isBlocked = true
            }
        }
        bytesSent &+= UInt64(sent)
        if sent > 0 { clock.stallEnds = nil }
        return sent
    }

    /// A blocked socket must accept some bytes within `writeStallMilliseconds`, or the connection is closed.
    private func noteProgress() {
        guard isBlocked else {
            clock.stallEnds = nil
            return
        }
        guard clock.stallEnds == nil else { return }
        clock.stallEnds = Monotonic.now().advanced(milliseconds: limits.writeStallMilliseconds)
        armTimer()
    }

    /// Producers are told in the next turn of the loop: in this one, a fast producer and a fast peer would never let
    /// the turn end.
    private func scheduleDrained() {
        let drained = drainedStreams
        drainedStreams.removeAll(keepingCapacity: true)
        IOLoop.schedule(afterMilliseconds: 0) {
            for stream in drained where stream.connection != nil { stream.handler?.bufferDrained() }
        }
    }
}

extension HTTP2Connection {
    /// The number of bytes for the next DATA frame of a stream; `takeData` then writes the frame.
    func nextData(of stream: HTTP2Stream, capacity: Int, flags: UnsafeMutablePointer<UInt32>) -> Int {
        let output = stream.output
        let count = min(capacity, output.pointee.bytes.count)
        if count == output.pointee.bytes.count, output.pointee.isEnding {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if let trailers = stream.trailers {
                flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                _ = withNameValues(trailers) { nghttp2_submit_trailer(session.pointer, stream.id, $0, $1) }
            }
        } else if count == 0 {
            output.pointee.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        if count > 0 { flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue }
        return count
    }

    /// Writes one DATA frame: its header and the stream's next bytes, copied once, from the stream to the connection.
    func takeData(of stream: HTTP2Stream, frameHeader: UnsafeRawBufferPointer, count: Int) -> CInt {
        let output = stream.output
        frames.append(frameHeader)
        frames.append(UnsafeRawBufferPointer(rebasing: output.pointee.bytes.bytes.prefix(count)))
        if output.pointee.removeFirst(count) { drainedStreams.append(stream) }
        // Without the pause nghttp2 goes on with the next frame, for as long as the peer's windows allow.
        return frames.count < limits.unsentBytesMax ? 0 : NGHTTP2_ERR_PAUSE.rawValue
    }

    func sentFrame(_ frame: nghttp2_frame) -> CInt {
        let header = frame.hd
        let type = UInt32(header.type)
        if type == NGHTTP2_RST_STREAM.rawValue {
            // A stream that nghttp2 refused by itself was never ours.
            order.ended(header.stream_id)
            sentReset(HTTP2ErrorCode(rawValue: frame.rst_stream.error_code))
        } else if type == NGHTTP2_GOAWAY.rawValue, streams.count >= Int(limits.concurrentStreamsMax),
            frame.goaway.error_code == HTTP2ErrorCode.protocolError.rawValue
        {
            // nghttp2 itself refuses the stream, once the peer has acknowledged the limit.
            handler?.met(.concurrentStreamsMax)
        }
        guard type == NGHTTP2_HEADERS.rawValue || type == NGHTTP2_DATA.rawValue else { return 0 }
        pings.pardon()
        flood.sent()
        // The response is complete before the request is: the client may stop sending (RFC 9113, section 8.1).
        if role == .server, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
            nghttp2_session_get_stream_remote_close(session.pointer, header.stream_id) == 0
        {
            nghttp2_submit_rst_stream(
                session.pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), header.stream_id,
                HTTP2ErrorCode.noError.rawValue)
        }
        return 0
    }

    /// Counts resets that the peer makes us send, which cost it less than us (CVE-2025-8671). Our own resets, at a
    /// call's end, are not counted.
    private func sentReset(_ code: HTTP2ErrorCode) {
        switch code {
        case .noError, .cancel: break
        case .refusedStream:
            handler?.met(.concurrentStreamsMax)
            _ = spend(.refusedStream)
        default: _ = spend(.brokenStream)
        }
    }

    func submitResponse(_ stream: HTTP2Stream, _ headers: [HTTP2Header], end: Bool) {
        withNameValues(headers) { fields, count in
            if end {
                _ = nghttp2_submit_response(session.pointer, stream.id, fields, count, nil)
            } else {
                var provider = SessionCallbacks.provider(stream)
                _ = nghttp2_submit_response(session.pointer, stream.id, fields, count, &provider)
            }
        }
    }

    /// Begins a request; only on a client. Nil when the connection takes no more of them.
    package func request(_ headers: [HTTP2Header], handler: any HTTP2StreamHandler) -> HTTP2Stream? {
        guard life.takesRequests else { return nil }
        let stream = HTTP2Stream(id: 0, connection: self)
        stream.handler = handler
        stream.begin()
        let id = withNameValues(headers) { fields, count in
            var provider = SessionCallbacks.provider(stream)
            return nghttp2_submit_request(
                session.pointer, nil, fields, count, &provider, Unmanaged.passUnretained(stream).toOpaque())
        }
        guard id > 0 else {
            stream.leaveConnection()
            stream.handler = nil
            return nil
        }
        stream.id = id
        streams[id] = stream
        scheduleFlush()
        return stream
    }

    func submitReset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        nghttp2_submit_rst_stream(
            session.pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
    }

    func resume(_ stream: HTTP2Stream) { nghttp2_session_resume_data(session.pointer, stream.id) }

    func consume(_ stream: HTTP2Stream, _ count: Int) {
        nghttp2_session_consume(session.pointer, stream.id, count)
        if session.wantsWrite { scheduleFlush() }
    }
}
