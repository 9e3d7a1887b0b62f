package import EventLoop
internal import HTTP2Connection
internal import LinuxSystem
package import SwiftProtobuf

/// Receives the answers to a call. Called on the loop; the call keeps its handler until `finished`, which is called
/// last.
@IOLoop
package protocol ClientCallHandler: AnyObject {
    /// The server's initial metadata; not called when the call ends without an answer.
    func received(initialMetadata: Metadata)
    /// One whole message, valid during the call.
    func received(_ message: UnsafeRawBufferPointer)
    /// `bufferedBytes` fell to the low mark after it had been above the high mark: sending can go on.
    func sendBufferDrained()
    /// The call is over; exactly once.
    func finished(_ status: Status, trailers: Metadata)
}

/// What a call carries besides its messages.
package struct CallOptions: Sendable {
    package var metadata = Metadata()
    /// The deadline, sent to the server as `grpc-timeout` and also enforced by the client; nil: none.
    package var timeoutMilliseconds: UInt64?
    /// How sent messages may be compressed; a server that does not support it ends the call UNIMPLEMENTED.
    package var encoding: MessageEncoding

    package init(
        metadata: Metadata = Metadata(), timeoutMilliseconds: UInt64? = nil, encoding: MessageEncoding = .identity
    ) {
        self.metadata = metadata
        self.timeoutMilliseconds = timeoutMilliseconds
        self.encoding = encoding
    }
}

/// One call on the client. Owned by its stream and by the code that started it; used on the loop.
@IOLoop
package final class ClientCall {
    package var isOver: Bool { delivery.isOver }

    private let limits: Limits
    /// The encoding of the messages that are sent.
    private let encoding: MessageEncoding
    private var stream: HTTP2Stream?
    private var handler: (any ClientCallHandler)?
    private var deadlineTimer: Timer?

    // Behind a pointer, which spares each message the run-time checks of a class's properties.
    // Proof: used on the loop only, but for `deinit`, which has the last reference.
    nonisolated(unsafe) private let messages: UnsafeMutablePointer<MessageReader>
    private var delivery = CallDelivery()
    private var hasResponded = false
    private var hasEndedSending = false
    private var unreleasedBytes = 0
    /// Why the call ends at the end of this turn of the loop; sends do nothing from then on.
    private var failure: Status?
    /// How the call ended, while messages that came before the end have still to be taken.
    private var end: (status: Status, trailers: Metadata)?

    init(limits: Limits, encoding: MessageEncoding, handler: any ClientCallHandler) {
        self.limits = limits
        self.encoding = encoding
        self.handler = handler
        messages = .allocate(capacity: 1)
        messages.initialize(to: MessageReader(messageBytesMax: limits.messageBytesMax))
    }

    deinit {
        messages.deinitialize(count: 1)
        messages.deallocate()
    }

    func start(_ headers: [HTTP2Header], timeoutMilliseconds: UInt64?, on connection: HTTP2Connection?) {
        guard let stream = connection?.request(headers, handler: self) else {
            // The handler must not be called from within `start`.
            IOLoop.schedule(afterMilliseconds: 0) {
                self.finish(Status(.unavailable, "the connection is closed: connect again"))
            }
            return
        }
        self.stream = stream
        if let timeoutMilliseconds {
            deadlineTimer = IOLoop.schedule(afterMilliseconds: timeoutMilliseconds) {
                self.abort(Status(.deadlineExceeded, "no end of the call within \(timeoutMilliseconds) ms"))
            }
        }
    }
}

extension ClientCall {
    /// Bytes that the server's window or the socket has not taken yet.
    package var bufferedBytes: Int { stream?.bufferedBytes ?? 0 }

    /// `bufferedBytes` went above the high mark; `sendBufferDrained` will tell when to go on.
    package var isCongested: Bool { stream?.isAboveHighMark ?? false }

    /// Sends one message of `byteCount` bytes; `fill` writes all of them into the send buffer, and must not use the
    /// call. Such a message is never compressed.
    package func send(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        send(byteCount, isCompressed: false, fill)
    }

    @inline(__always)
    private func send(_ byteCount: Int, isCompressed: Bool, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        guard !isOver, let stream, !hasEndedSending else { return }
        let appended = stream.append(byteCount: byteCount &+ MessagePrefix.byteCount) { buffer in
            MessagePrefix.write(buffer, messageByteCount: byteCount, isCompressed: isCompressed)
            fill(UnsafeMutableRawBufferPointer(rebasing: buffer[MessagePrefix.byteCount...]))
        }
        if !appended {
            failAtTurnEnd(
                Status(
                    .resourceExhausted,
                    "more than \(limits.http2.streamBufferBytesMax) bytes wait to be read by the server"))
        }
    }

    /// Whether the message that the handler's `received` was just given was compressed on the wire.
    package var isMessageCompressed: Bool { messages.pointee.isCompressed }

    /// Sends one message. `compressed` nil: the message is compressed if the call allows it, it is not short, and
    /// compression makes it smaller.
    package func send(_ message: some SwiftProtobuf.Message, compressed: Bool? = nil) {
        do {
            let encoded = EncodedMessage(
                try message.serializedBytes(), encoding, wantsCompression: compressed,
                compressedBytesMin: limits.compressedBytesMin)
            send(encoded.bytes.count, isCompressed: encoded.isCompressed) { $0.copyBytes(from: encoded.bytes) }
        } catch {
            failAtTurnEnd(Status(.internalError, "a request cannot be encoded: \(error)"))
        }
    }

    /// Ends the call at the end of this turn, not now, because the sender may be in the middle of a change of its
    /// state.
    private func failAtTurnEnd(_ status: Status) {
        guard !isOver, failure == nil else { return }
        failure = status
        IOLoop.atTurnEnd(self)
    }

    /// Ends the sending direction; answers still come.
    package func endSending() {
        guard !isOver, failure == nil else { return }
        hasEndedSending = true
        stream?.end()
    }

    /// Ends the call with RST_STREAM CANCEL; the handler gets CANCELLED.
    package func cancel() { abort(Status(.cancelled, "the call was cancelled here")) }

    /// Takes no more messages, and so the server's window closes; a few may still come from bytes that were received.
    package func pauseReceiving() { delivery.pause() }

    package func resumeReceiving() {
        guard delivery.resume() == .deliver else { return }
        deliverMessages()
        if isOver { return }
        messages.pointee.end()
        release()
        if delivery.endIfDue(holdsMessages: holdsMessages) == .end { finishAsEnded() }
    }

    private func abort(_ status: Status) {
        guard !isOver else { return }
        stream?.handler = nil
        stream?.reset(.cancel)
        finish(status)
    }

    private func finish(_ status: Status, trailers: Metadata = Metadata()) {
        guard !isOver else { return }
        delivery.over()
        deadlineTimer?.cancel()
        deadlineTimer = nil
        stream = nil
        messages.pointee.removeAll()
        let handler = self.handler
        self.handler = nil
        handler?.finished(status, trailers: trailers)
    }
}

extension ClientCall: TurnEndHandler {
    package func turnEnded() {
        if let failure { abort(failure) }
    }
}

extension ClientCall: HTTP2StreamHandler {
    func received(headers: [HTTP2Header], tooLarge: Bool) {
        guard !isOver, end == nil else { return }
        // Interim responses carry nothing for a call (RFC 9110, section 15.2).
        if let status = headers.first(where: { $0.name == ":status" })?.value, status.hasPrefix("1") { return }
        guard !tooLarge else {
            abort(
                Status(.resourceExhausted, "the server's metadata is above \(limits.http2.headerListBytesMax) bytes"))
            return
        }
        do throws(Status) {
            if !hasResponded {
                hasResponded = true
                if let status = ResponseStatus.of(headers: headers) { throw status }
                messages.pointee.encoding = ResponseStatus.encoding(of: headers)
                if let status = ResponseStatus.of(trailers: headers) {
                    ended(with: status, try Metadata(headers: headers))
                } else {
                    handler?.received(initialMetadata: try Metadata(headers: headers))
                }
            } else {
                let status = ResponseStatus.of(trailers: headers)
                ended(
                    with: status ?? Status(.unknown, "the server ended the call without a status"),
                    try Metadata(headers: headers))
            }
        } catch {
            abort(error)
        }
    }

    func received(data: UnsafeRawBufferPointer) {
        guard hasResponded else {
            abort(Status(.internalError, "the server sent a body without a header"))
            return
        }
        unreleasedBytes += data.count
        messages.pointee.begin(data)
        deliverMessages()
        if isOver { return }
        messages.pointee.end()
        release()
    }

    func receivedEnd() {
        guard end == nil else { return }
        ended(with: ResponseStatus.of(.finished), Metadata())
    }

    func bufferDrained() { handler?.sendBufferDrained() }

    func ended(_ streamEnd: HTTP2StreamEnd) {
        guard !isOver, end == nil else { return }
        ended(with: ResponseStatus.of(streamEnd), Metadata())
    }

    /// Delays the end until the messages before it are taken.
    private func ended(with status: Status, _ trailers: Metadata) {
        guard end == nil else { return }
        end = (status, trailers)
        if delivery.peerEnded(holdsMessages: holdsMessages) == .end { finishAsEnded() }
    }

    private var holdsMessages: Bool { messages.pointee.heldBytes > 0 }

    private func finishAsEnded() {
        guard let end else { return }
        // The server has ended its response; it does not want the rest of the request.
        if let stream, !stream.remoteEnded || !stream.hasSentAll {
            stream.handler = nil
            stream.reset(.cancel)
        }
        if end.status.isOK, holdsMessages {
            finish(Status(.internalError, "the server's last message is incomplete"))
        } else {
            finish(end.status, trailers: end.trailers)
        }
    }

    private func deliverMessages() {
        delivery.beginDelivering()
        defer { delivery.endDelivering() }
        do throws(Status) {
            while delivery.wantsMessage, let message = try messages.pointee.next() { handler?.received(message) }
        } catch {
            abort(error)
        }
    }

    /// Opens the window again for bytes that were taken; an incomplete message counts as taken unless the handler has
    /// paused.
    private func release() {
        let released = delivery.isPaused ? unreleasedBytes - messages.pointee.heldBytes : unreleasedBytes
        guard released > 0 else { return }
        unreleasedBytes -= released
        stream?.consume(released)
    }
}
