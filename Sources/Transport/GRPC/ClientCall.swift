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
    /// How long the call waits for a connection while attempts to make one fail, then it ends UNAVAILABLE; its deadline may
    /// come first. Nil: the first attempt that fails ends it (grpc/doc/wait-for-ready.md).
    package var waitForReadyMilliseconds: UInt64?

    package init(
        metadata: Metadata = Metadata(), timeoutMilliseconds: UInt64? = nil, encoding: MessageEncoding = .identity,
        waitForReadyMilliseconds: UInt64? = nil
    ) {
        self.metadata = metadata
        self.timeoutMilliseconds = timeoutMilliseconds
        self.encoding = encoding
        self.waitForReadyMilliseconds = waitForReadyMilliseconds
    }
}

/// One call on the client. Owned by its stream, or by the client while it waits for a connection, and by the code that
/// started it; used on the loop.
@IOLoop
package final class ClientCall {
    package var isOver: Bool { delivery.isOver }

    let path: String
    let options: CallOptions
    /// When the call ends by itself; nil: never.
    let deadline: Monotonic?
    private let limits: Limits
    /// Nil once the call is over.
    private var client: Client?
    /// Nil while it waits for a connection.
    private var stream: HTTP2Stream?
    private var handler: (any ClientCallHandler)?
    private var deadlineTimer: Timer?
    private var readyTimer: Timer?
    /// The messages so far, as they are sent, while the call waits for a connection or may have to be begun again; nil once
    /// the server has answered, or they are too long.
    private var sent: [UInt8]? = []
    /// It was begun again after the server had not taken it.
    private var isRepeated = false

    /// Calls with longer requests are not begun again; gRPC's libraries have the same bound for one call.
    private static let repeatedBytesMax = 256 << 10

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

    init(_ path: String, _ options: CallOptions, of client: Client, handler: any ClientCallHandler) {
        self.path = path
        self.options = options
        self.client = client
        self.handler = handler
        limits = client.limits
        deadline = options.timeoutMilliseconds.map { Monotonic.now().advanced(milliseconds: $0) }
        messages = .allocate(capacity: 1)
        messages.initialize(to: MessageReader(messageBytesMax: limits.messageBytesMax))
    }

    deinit {
        messages.deinitialize(count: 1)
        messages.deallocate()
    }

    /// Whether it waits for a connection while attempts fail.
    var waitsForReady: Bool { options.waitForReadyMilliseconds != nil }

    /// Begins its times.
    func start() {
        if let milliseconds = options.timeoutMilliseconds {
            deadlineTimer = IOLoop.schedule(afterMilliseconds: milliseconds) {
                let wait = self.stream == nil ? self.client.map { ": \($0.reasonOfWait)" } ?? "" : ""
                self.abort(Status(.deadlineExceeded, "no end of the call within \(milliseconds) ms\(wait)"))
            }
        }
        if let milliseconds = options.waitForReadyMilliseconds {
            readyTimer = IOLoop.schedule(afterMilliseconds: milliseconds) {
                guard self.stream == nil, let client = self.client else { return }
                self.abort(Status(.unavailable, "no connection within \(milliseconds) ms: \(client.reasonOfWait)"))
            }
        }
    }

    /// Begins on this connection, with what was sent so far; returns false if it takes no more calls.
    func begin(on connection: HTTP2Connection, _ headers: [HTTP2Header]) -> Bool {
        guard !isOver else { return true }
        guard let stream = connection.request(headers, handler: self) else { return false }
        readyTimer?.cancel()
        readyTimer = nil
        self.stream = stream
        if let sent, !sent.isEmpty {
            // It has as much room as the call had while it waited.
            _ = sent.withUnsafeBytes { stream.append($0) }
            forgetLongRequest()
        }
        if hasEndedSending { stream.end() }
        return true
    }

    private func forgetLongRequest() {
        if let sent, sent.count > Self.repeatedBytesMax { self.sent = nil }
    }

    /// Ends it; the handler is told at once.
    func fail(_ status: Status) { abort(status) }

    /// Ends it in a later turn, because its handler must not be called from within `Client.start`.
    func failLater(_ status: Status) { IOLoop.schedule(afterMilliseconds: 0) { self.abort(status) } }

    /// Whether the call is begun again because the server has not taken it (RFC 9113, section 8.7): it was refused, or its
    /// number is above the last one of GOAWAY, which looks the same.
    private func isToRepeat(after end: HTTP2StreamEnd) -> Bool {
        guard case .reset(.refusedStream) = end else { return false }
        return !hasResponded && !isRepeated && failure == nil && sent != nil
    }
}

extension ClientCall {
    /// Bytes that the server's window or the socket has not taken yet.
    package var bufferedBytes: Int { stream?.bufferedBytes ?? sent?.count ?? 0 }

    /// `bufferedBytes` went above the high mark; `sendBufferDrained` will tell when to go on.
    package var isCongested: Bool {
        stream?.isAboveHighMark ?? (bufferedBytes > limits.http2.streamBufferHighBytes)
    }

    /// Sends one message of `byteCount` bytes; `fill` writes all of them into the send buffer, and must not use the
    /// call. Such a message is never compressed.
    package func send(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        send(byteCount, isCompressed: false, fill)
    }

    @inline(__always)
    private func send(_ byteCount: Int, isCompressed: Bool, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        guard !isOver, !hasEndedSending else { return }
        let appended =
            if let stream, sent == nil {
                stream.append(byteCount: byteCount &+ MessagePrefix.byteCount) {
                    Self.write($0, byteCount, isCompressed: isCompressed, fill)
                }
            } else {
                keep(byteCount, isCompressed: isCompressed, fill)
            }
        if !appended {
            failAtTurnEnd(
                Status(
                    .resourceExhausted,
                    "more than \(limits.http2.streamBufferBytesMax) bytes wait to be read by the server"))
        }
    }

    private static func write(
        _ buffer: UnsafeMutableRawBufferPointer, _ byteCount: Int, isCompressed: Bool,
        _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        MessagePrefix.write(buffer, messageByteCount: byteCount, isCompressed: isCompressed)
        fill(UnsafeMutableRawBufferPointer(rebasing: buffer[MessagePrefix.byteCount...]))
    }

    /// Keeps the message, and sends it if there is a stream. Returns false when there is no room.
    private func keep(_ byteCount: Int, isCompressed: Bool, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Bool {
        let whole = byteCount &+ MessagePrefix.byteCount
        guard var kept = sent, stream != nil || kept.count + whole <= limits.http2.streamBufferBytesMax else {
            return false
        }
        sent = nil
        let start = kept.count
        kept.append(contentsOf: repeatElement(0, count: whole))
        let appended = kept.withUnsafeMutableBytes { bytes in
            let message = UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
            Self.write(message, byteCount, isCompressed: isCompressed, fill)
            return stream?.append(UnsafeRawBufferPointer(message)) ?? true
        }
        sent = kept
        if stream != nil { forgetLongRequest() }
        return appended
    }

    /// Whether the message that the handler's `received` was just given was compressed on the wire.
    package var isMessageCompressed: Bool { messages.pointee.isCompressed }

    /// Sends one message. `compressed` nil: the message is compressed if the call allows it, it is not short, and
    /// compression makes it smaller.
    package func send(_ message: some SwiftProtobuf.Message, compressed: Bool? = nil) {
        do {
            let encoded = EncodedMessage(
                try message.serializedBytes(), options.encoding, wantsCompression: compressed,
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
        readyTimer?.cancel()
        readyTimer = nil
        stream = nil
        sent = nil
        client = nil
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
                sent = nil
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
        guard let client, isToRepeat(after: streamEnd) else {
            return ended(with: ResponseStatus.of(streamEnd), Metadata())
        }
        isRepeated = true
        stream = nil
        client.place(self)
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
