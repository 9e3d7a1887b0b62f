internal import ByteBuffer
internal import CNghttp2
internal import EventLoop
internal import LinuxSystem

/// One buffer for all connections: it is full only between a read and the parsing that follows at once.
@IOLoop private let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: ReadSize.bytesMax, alignment: 16)

extension HTTP2Connection: UnfinishedWork {
    /// Reads what the socket has, within the connection's share of the turn.
    func read() throws(ConnectionFailure) {
        // Earlier input goes on by itself, and before new input.
        guard !hasUnfinishedInput, !isHeldUp else { return }
        try takeInput(steps: limits.stepsPerTurnMax)
    }

    package func goOn(steps: Int) -> Int {
        isToGoOn = false
        guard life.takesInput, !isHeldUp else { return 0 }
        do throws(ConnectionFailure) {
            try takeInput(steps: steps)
        } catch {
            fail(error)
        }
        return steps - stepsLeft
    }

    /// Whether bytes were taken from the socket that nghttp2 has not got yet.
    var hasUnfinishedInput: Bool { !pendingInput.isEmpty || hasPendingRecords }

    private func takeInput(steps: Int) throws(ConnectionFailure) {
        stepsLeft = steps
        isTakingInput = true
        defer {
            isTakingInput = false
            if !life.takesInput { pendingInput.removeAll() }
        }
        try takeInput()
        finishReading()
    }

    /// Takes the input that was left first, then reads the socket, until there is no more or the steps are used.
    private func takeInput() throws(ConnectionFailure) {
        let steps = stepsLeft
        defer { if handler?.worked(steps - stepsLeft, for: self) == false { isHeldUp = true } }
        hasPendingRecords = false
        if !pendingInput.isEmpty {
            let taken = try parse(UnsafeMutableRawBufferPointer(mutating: pendingInput.bytes))
            pendingInput.removeFirst(taken)
        }
        while mayTakeMore, pendingInput.isEmpty {
            guard try takeFromSocket() else { return }
        }
        // epoll announces what the socket holds, not what TLS has already taken from it.
        hasPendingRecords = life.takesInput && transport.hasPending
    }

    /// Whether more input may be taken: within the steps of this turn, and while few answers wait to be sent.
    private var mayTakeMore: Bool {
        stepsLeft > 0 && life.takesInput && session.queuedFrames <= limits.queuedFramesMax
    }

    /// False: there is no more for now.
    private func takeFromSocket() throws(ConnectionFailure) -> Bool {
        let size = readSize.bytes
        let step = try transport.read(into: UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<size]))
        stepsLeft -= WorkSteps.perRead
        for _ in 0..<transport.takeKeyUpdates() {
            guard spend(.keyUpdate) else { return true }
        }
        switch step {
        case .wouldBlock:
            return false
        case .ended:
            // Earlier requests are answered as far as possible, because the peer may still read.
            flush()
            throw ConnectionFailure(
                .lost, "the peer closed the connection" + (peerReason.map { ": \($0)" } ?? ""))
        case .moved(let count):
            noteReceived()
            bytesReceived &+= UInt64(count)
            stepsLeft -= WorkSteps.copying(count)
            let received = UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count])
            let taken = try parse(received)
            readSize.note(count: count, taken: taken)
            pendingInput.append(UnsafeRawBufferPointer(rebasing: received[taken...]))
            return count == size || transport.hasPending || taken < count
        }
    }

    /// Gives nghttp2 the input slice by slice, until the steps are used; returns how many bytes were taken. An error
    /// that ends the connection takes all.
    private func parse(_ bytes: UnsafeMutableRawBufferPointer) throws(ConnectionFailure) -> Int {
        var position = 0
        while position < bytes.count {
            position = try parseSlice(bytes, from: position)
            if !life.takesInput { return bytes.count }
            if !mayTakeMore { break }
        }
        return position
    }

    /// The end of a slice that in the worst case costs little more than the steps that are left.
    private func parseSlice(
        _ bytes: UnsafeMutableRawBufferPointer, from start: Int
    ) throws(ConnectionFailure) -> Int {
        var position = start
        var stepsOfSlice = max(stepsLeft, Self.stepsOfSliceMin)
        let headerBytes = scanner.headerBlockBytes
        while let frame = scanner.next(in: UnsafeRawBufferPointer(bytes), at: &position, within: &stepsOfSlice) {
            stepsLeft -= WorkSteps.perFrame
            guard let ending = judge(frame) else { continue }
            // The bytes before this frame are processed, and nothing from its header on.
            let end = max(position - FrameHeader.byteCount, start)
            try give(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]))
            self.end(ending)
            return position
        }
        stepsLeft -= (scanner.headerBlockBytes - headerBytes) / WorkSteps.headerBlockBytesPerStep
        try give(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<position]))
        return position
    }

    /// A slice is not made smaller than one that may cost this many steps, because each slice has a cost of its own.
    private static var stepsOfSliceMin: Int { 300 }

    /// The caller has steps again.
    package func resumeReading() {
        isHeldUp = false
        updateInterest()
    }

    /// Charges work that reading causes in addition to what is counted here.
    package func charge(_ steps: Int) { stepsLeft -= steps }

    /// Gives nghttp2 the frames that may pass; strings in header blocks that it would refuse are replaced by others
    /// that it accepts.
    private func give(_ bytes: UnsafeMutableRawBufferPointer) throws(ConnectionFailure) {
        var position = 0
        while position < bytes.count, life.takesInput {
            let end = headerBlocks.next(in: bytes, from: position)
            guard !headerBlocks.isBeyond else {
                _ = refuse(.headerBlockBytesMax, "a field is longer than a header block may be")
                return
            }
            try decode(UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
            position = end
            guard let stream = answeredAhead, !isClosed else { continue }
            answeredAhead = nil
            try takeAnswer(of: stream)
        }
        // This also covers streams that nghttp2 has given up, whose block it does not report as ended.
        if !headerBlocks.isInBlock { clock.headersEnd = nil }
    }

    private func decode(_ bytes: UnsafeRawBufferPointer) throws(ConnectionFailure) {
        let taken = nghttp2_session_mem_recv(
            session.pointer, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        guard taken < 0, life.takesInput else { return }
        if taken == Int(NGHTTP2_ERR_FLOODED.rawValue) {
            _ = refuse(.queuedFramesMax, "answers wait to be sent to a peer that does not read")
            return
        }
        let reason = String(cString: nghttp2_strerror(Int32(taken)))
        throw ConnectionFailure(.violation, "the peer does not speak HTTP/2 as it should: \(reason)")
    }

    private func finishReading() {
        guard life.takesInput else { return }
        if clock.headersEnd != nil { armTimer() }
        if !session.wantsRead, !session.wantsWrite, !life.isLingering, pendingInput.isEmpty {
            close(.noError, ConnectionFailure(.closed, "the connection has ended"))
        } else if session.wantsWrite {
            scheduleFlush()
        }
        updateInterest()
    }

    private func stream(_ id: Int32) -> HTTP2Stream? {
        guard let pointer = nghttp2_session_get_stream_user_data(session.pointer, id) else { return nil }
        // Retained by `streams` until `streamClosed`; see SessionCallbacks.
        return Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Why a frame, judged by its header alone, ends the connection; nil when it may pass.
    private func judge(_ frame: FrameHeader) -> Ending? {
        if let limit = flood.receive(frame, at: .now()) {
            return Ending(
                code: .enhanceYourCalm, failure: ConnectionFailure(.flooded, limit, "the peer's frames went beyond it"))
        }
        guard role == .server else { return nil }
        if frame.kind == .ping, !frame.isAcknowledgement,
            !pings.received(at: .now(), hasStreams: !streams.isEmpty)
        {
            // These very words make a gRPC client ping less often (proposal A8).
            return Ending(
                code: .enhanceYourCalm,
                failure: ConnectionFailure(
                    .flooded, .pingStrikesMax,
                    "the client pings more often than every \(limits.pingIntervalMillisecondsMin) ms"),
                debugData: "too_many_pings")
        }
        if let code = order.received(frame) {
            return Ending(
                code: code,
                failure: ConnectionFailure(.violation, "the client sends on stream \(frame.stream), which has ended"))
        }
        return nil
    }

    /// Counts a kind of frame that only its effect shows; false: the connection ends at the end of this turn.
    func spend(_ kind: FloodBudget.Kind) -> Bool {
        guard !flood.spend(kind, at: .now()) else { return true }
        _ = refuse(kind.limit, "the peer went beyond it")
        return false
    }

    /// Ends the connection from within a callback: GOAWAY is queued, and nghttp2 reads no further.
    private func refuse(_ limit: HTTP2Limits.Name, _ reason: String) -> CInt {
        close(.enhanceYourCalm, ConnectionFailure(.flooded, limit, reason))
        return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    }

    func beganHeaders(_ id: Int32, isRequest: Bool) -> CInt {
        clock.headersEnd = Monotonic.now().advanced(milliseconds: limits.headersMilliseconds)
        if isRequest {
            let stream = HTTP2Stream(id: id, connection: self)
            streams[id] = stream
            clock.idleEnds = nil
            nghttp2_session_set_stream_user_data(
                session.pointer, id, Unmanaged.passUnretained(stream).toOpaque())
        }
        if let stream = stream(id) {
            stream.headers.removeAll()
            stream.headerBytes = 0
            stream.headersTooLarge = false
        }
        return 0
    }

    func receivedHeader(_ id: Int32, name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) -> CInt {
        stepsLeft -= WorkSteps.perHeaderField
        guard let stream = stream(id) else { return 0 }
        if headerBlocks.isReplacing {
            // This field is a substitute; the one that the peer sent is above the limit in any case.
            stream.headersTooLarge = true
            guard role == .server, name.first == UInt8(ascii: ":") else { return 0 }
            // The fields that fill up the string's bytes are not allowed before a pseudo-field: nghttp2 will reset the
            // stream.
            guard spend(.refusedHeaderList) else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
            receivedHeaders(stream, isRequest: true)
            answeredAhead = id
            return 0
        }
        stream.headerBytes += name.count + value.count + 32
        if stream.headerBytes > limits.headerListBytesMax || stream.headers.count >= limits.headerCountMax {
            stream.headersTooLarge = true
            // Fields above the limit are dropped, but decoding them has a cost, and so a limit of its own.
            guard stream.headerBytes <= 4 * limits.headerListBytesMax else {
                return refuse(.headerListBytesMax, "a header list is above four times as much")
            }
            return 0
        }
        stream.headers.append(
            HTTP2Header(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
        return 0
    }

    /// A field that is invalid in HTTP. In a request it is passed on to the handler as it is, because a reset of the
    /// stream would not say what is wrong.
    func receivedInvalidHeader(
        _ id: Int32, name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>
    ) -> CInt {
        guard role == .server else { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }
        return receivedHeader(id, name: name, value: value)
    }

    func receivedData(_ id: Int32, _ bytes: UnsafeRawBufferPointer) -> CInt {
        guard let stream = stream(id), let handler = stream.handler else {
            nghttp2_session_consume(session.pointer, id, bytes.count)
            return 0
        }
        stream.unconsumedBytes += bytes.count
        handler.received(data: bytes)
        return 0
    }

    func receivedFrame(_ frame: nghttp2_frame) -> CInt {
        switch UInt32(frame.hd.type) {
        case NGHTTP2_HEADERS.rawValue:
            if let stream = stream(frame.hd.stream_id) {
                // Known before the headers are handed over: trailers end the stream.
                let isLast = frame.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
                stream.remoteEnded = isLast
                guard role == .client || !stream.headersTooLarge || spend(.refusedHeaderList) else {
                    return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
                }
                receivedHeaders(stream, isRequest: frame.headers.cat == NGHTTP2_HCAT_REQUEST)
                if isLast { stream.handler?.receivedEnd() }
            }
        case NGHTTP2_DATA.rawValue:
            endIfLast(frame.hd)
        case NGHTTP2_RST_STREAM.rawValue:
            // The stream is still in the table if this reset ends it. On a client resets are not counted: a server may
            // end as many streams as we begin.
            guard role == .client || spend(streams[frame.hd.stream_id] == nil ? .lateReset : .reset) else {
                return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
            }
        case NGHTTP2_SETTINGS.rawValue where frame.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0:
            open()
        case NGHTTP2_PING.rawValue where frame.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
            switch PingPurpose(frame.ping.opaque_data) {
            case .drain: finishDrain()
            case .window: awaitsWindows = false
            case .keepalive, nil: break
            }
        case NGHTTP2_GOAWAY.rawValue:
            life.goAwayCame()
            notePeerReason(frame.goaway)
            closeIfDone()
        default: break
        }
        return 0
    }

    private func open() {
        guard life.settingsCame() else { return }
        clock.handshakeEnds = nil
        if streams.isEmpty { noteIdle() }
        beginAging()
        handler?.opened(self)
    }

    private func notePeerReason(_ goAway: nghttp2_goaway) {
        guard goAway.error_code != HTTP2ErrorCode.noError.rawValue else { return }
        let text = UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len).prefix(256)
        peerReason = "GOAWAY with HTTP/2 error \(goAway.error_code) " + String(decoding: text, as: UTF8.self)
    }

    private func receivedHeaders(_ stream: HTTP2Stream, isRequest: Bool) {
        let headers = stream.headers
        stream.headers = []
        if isRequest {
            stream.requestHeaderBytes = stream.headerBytes
            stream.headerBytes = 0
            handler?.received(request: headers, tooLarge: stream.headersTooLarge, on: stream, of: self)
        } else {
            stream.headerBytes = 0
            stream.handler?.received(headers: headers, tooLarge: stream.headersTooLarge)
        }
    }

    private func endIfLast(_ header: nghttp2_frame_hd) {
        guard header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0, let stream = stream(header.stream_id),
            !stream.remoteEnded
        else { return }
        stream.remoteEnded = true
        stream.handler?.receivedEnd()
    }

    func streamClosed(_ id: Int32, _ code: HTTP2ErrorCode) -> CInt {
        order.ended(id)
        guard let stream = streams.removeValue(forKey: id) else { return 0 }
        if stream.unconsumedBytes > 0 {
            nghttp2_session_consume_connection(session.pointer, stream.unconsumedBytes)
            stream.unconsumedBytes = 0
            scheduleFlush()
        }
        forget(stream, code == .noError ? .finished : .reset(code))
        if streams.isEmpty, !isClosed {
            noteIdle()
            closeIfDone()
        }
        return 0
    }
}
