package import EventLoop
internal import HTTP2Connection
package import LinuxSystem
package import SwiftProtobuf
package import TLSSession

/// One call on the server: the request's head, and the means to answer it.
///
/// Owned by its stream and its handler; used on the loop. Messages that are sent in one turn of the loop are written at
/// its end, many to a DATA frame; a send makes no system call and, once its buffer has grown, no allocation.
@IOLoop
package final class ServerCall {
    /// "/hearth.v1.Inference/Chat".
    package let path: String
    package let metadata: Metadata
    /// When the server ends the call by itself; nil: never.
    package let deadline: Monotonic?
    package let peer: SocketAddress
    /// The client's certificate, if the listener asks for one.
    package let peerCertificate: PeerCertificate?
    /// The caller that the listener's gate admitted; nil if there is no gate, or it names no caller.
    package internal(set) var caller: (any Caller)?
    /// The caller to which the call's work is charged: the one that the gate admitted, else the one that opened the
    /// connection.
    package internal(set) var callerID: CallerID

    /// Finished or cancelled; sends do nothing.
    package var isOver: Bool { delivery.isOver }

    /// Whether this call, once it has asked something and until it ends, keeps its connection from being closed when
    /// room is needed.
    var keepsConnection = true

    /// The trailing metadata that a typed handler has set.
    var typedTrailers = Metadata()
    /// Whether the one request of a typed handler was compressed.
    var isTypedRequestCompressed = false

    private let stream: HTTP2Stream
    private let server: Server
    let connection: ServerConnection
    /// A whole message has come.
    private(set) var hasAsked = false
    private var handler: (any CallHandler)?
    /// What answers it; nil once it is over.
    var openHandler: (any CallHandler)? { handler }
    private var deadlineTimer: Timer?
    private var requestTimer: Timer?
    private var hasResponded = false
    /// Why the call ends at the end of this turn of the loop; sends do nothing from then on.
    private var failure: Status?
    /// Whether the client accepts compressed messages.
    private let acceptsGzip: Bool
    /// The encoding of the messages that are sent.
    private var encoding: MessageEncoding

    // Behind a pointer, which spares each message the run-time checks of a class's properties.
    // Proof: used on the loop only, but for `deinit`, which has the last reference.
    nonisolated(unsafe) private let messages: UnsafeMutablePointer<MessageReader>
    private var delivery = CallDelivery()
    /// The next message had to wait until more could be decompressed.
    private var hasMessageWaited = false
    /// Received bytes whose window has not been given back.
    private var unreleasedBytes = 0
    /// The bytes of messages not handed over that the server has counted for this call.
    private var notedHeldBytes = 0
    /// The bytes that the handler has said it keeps (`keep`).
    private var keptBytes = 0
    /// The part of both that was last counted against the connection's bound.
    private var countedBytes = 0
    /// The steps (`WorkSteps`) left in this turn of the loop for the messages that are being handed over.
    package private(set) var stepsLeft = 0
    private var isToGoOn = false
    /// Its messages wait until its caller has steps again.
    private var stepsTicket: StepsTicket?

    init(_ head: RequestHead, stream: HTTP2Stream, http2: HTTP2Connection, connection: ServerConnection) {
        path = head.path
        metadata = head.metadata
        peer = http2.peer
        peerCertificate = http2.peerCertificate
        deadline = head.timeoutNanoseconds.map { Monotonic.now().advanced(nanoseconds: $0) }
        self.connection = connection
        callerID = connection.callerID
        acceptsGzip = head.acceptsGzip
        // A client that compresses its messages gets compressed answers, if it accepts them.
        encoding = head.acceptsGzip ? head.encoding : .identity
        self.stream = stream
        server = connection.server
        messages = .allocate(capacity: 1)
        messages.initialize(to: MessageReader(messageBytesMax: server.limits.messageBytesMax))
        messages.pointee.encoding = head.encoding
    }

    deinit {
        messages.deinitialize(count: 1)
        messages.deallocate()
    }

    /// Begins to serve; `method` makes the handler.
    func start(_ method: Method) {
        messages.pointee.messageBytesMax = min(messages.pointee.messageBytesMax, method.messageBytesMax)
        stream.handler = self
        server.callBegan(self)
        if let deadline {
            let left = deadline.since(.now())
            deadlineTimer = IOLoop.schedule(afterMilliseconds: left / 1_000_000 + 1) {
                self.abort(Status(.deadlineExceeded, "the call's deadline is over"))
            }
        }
        let handler = method.makeHandler(self)
        if !isOver { self.handler = handler }
    }
}

extension ServerCall {
    var limits: Limits { server.limits }

    /// Whether this server received it.
    package func isServed(by other: Server) -> Bool { server === other }

    /// Whether its work goes before that of other servers.
    var isFirst: Bool { server.priority == .first }

    /// Bytes that the client's window or socket has not taken yet.
    package var bufferedBytes: Int { stream.bufferedBytes }

    /// `bufferedBytes` went above the high mark; `sendBufferDrained` will tell when to go on.
    package var isCongested: Bool { stream.isAboveHighMark }

    /// The bytes that can be sent before the call is congested; 0 while it is.
    package var roomBytes: Int { isCongested ? 0 : stream.bytesToHighMark }

    /// Bytes that the client's window and the connection have taken since the call began.
    package var takenBytes: UInt64 { stream.takenBytes }

    /// Makes a client that delays its window updates send them; `takenBytes` then shows what it has read.
    package func askForWindow() { stream.askForWindow() }

    /// Sets how sent messages may be compressed; the default is the encoding of the client's messages. Call it before
    /// the initial metadata and the first message; later, or with an encoding that the client does not accept, it does
    /// nothing.
    package func setResponseEncoding(_ encoding: MessageEncoding) {
        guard !hasResponded, encoding == .identity || acceptsGzip else { return }
        self.encoding = encoding
    }

    /// Sends the initial metadata before the first message does; at most once, and only before it.
    package func sendInitialMetadata(_ metadata: Metadata = Metadata()) {
        guard !isOver, !hasResponded else { return }
        hasResponded = true
        var fields = ResponseHead.accepted
        if encoding != .identity { fields.append(HTTP2Header("grpc-encoding", encoding.rawValue)) }
        stream.respond(fields + metadata.headers, end: false)
    }

    /// Whether the message that the handler's `received` was just given was compressed on the wire.
    package var isMessageCompressed: Bool { messages.pointee.isCompressed }

    /// Sends whole messages, each with its `MessagePrefix` and not compressed, in one copy; otherwise like `send`.
    package func send(prefixed messages: UnsafeRawBufferPointer) {
        if messages.isEmpty || stream.append(messages) || isOver || failure != nil { return }
        if !hasResponded {
            sendInitialMetadata()
            if stream.append(messages) { return }
        }
        failAtTurnEnd(streamIsFull)
    }

    /// Sends one message of `byteCount` bytes; `fill` writes all of them into the send buffer, and must not use the
    /// call. Such a message is never compressed. No send calls the handler back: one that meets the stream's bound ends
    /// the call at the end of this turn.
    package func send(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        send(byteCount, isCompressed: false, fill)
    }

    @inline(__always)
    private func send(_ byteCount: Int, isCompressed: Bool, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        if append(byteCount, isCompressed, fill) || isOver || failure != nil { return }
        if !hasResponded {
            sendInitialMetadata()
            if append(byteCount, isCompressed, fill) { return }
        }
        failAtTurnEnd(streamIsFull)
    }

    private var streamIsFull: Status {
        .limitMet(
            HTTP2Limits.Name.streamBufferBytesMax.rawValue,
            "more than \(server.limits.http2.streamBufferBytesMax) bytes wait to be read by the client",
            subject: "stream")
    }

    @inline(__always)
    private func append(
        _ byteCount: Int, _ isCompressed: Bool, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) -> Bool {
        stream.append(byteCount: byteCount &+ MessagePrefix.byteCount) { buffer in
            MessagePrefix.write(buffer, messageByteCount: byteCount, isCompressed: isCompressed)
            fill(UnsafeMutableRawBufferPointer(rebasing: buffer[MessagePrefix.byteCount...]))
        }
    }

    /// Sends one message. `compressed` nil: the message is compressed if the call allows it, it is not short, and
    /// compression makes it smaller.
    package func send(_ message: some SwiftProtobuf.Message, compressed: Bool? = nil) {
        do {
            let encoded = EncodedMessage(
                try message.serializedBytes(), encoding, wantsCompression: compressed,
                compressedBytesMin: server.limits.compressedBytesMin)
            send(encoded.bytes.count, isCompressed: encoded.isCompressed) { $0.copyBytes(from: encoded.bytes) }
        } catch {
            failAtTurnEnd(Status(.internalError, "an answer cannot be encoded: \(error)"))
        }
    }

    /// Ends the call at the end of this turn, not now, because the sender may be in the middle of a change of its
    /// state.
    private func failAtTurnEnd(_ status: Status) {
        guard !isOver, failure == nil else { return }
        failure = status
        IOLoop.atTurnEnd(self)
    }

    /// Ends the call after the messages that were sent; the handler is called no more. If a message could not be sent,
    /// the call ends with that failure instead.
    package func finish(_ status: Status, trailers: Metadata = Metadata()) {
        guard !isOver else { return }
        let status = failure ?? status
        server.noteLimit(of: status)
        let fields = ResponseHead.trailers(status, trailers, limits: server.limits)
        if hasResponded {
            stream.end(trailers: fields)
        } else {
            stream.respond(ResponseHead.accepted + fields, end: true)
        }
        // The connection drops what the client goes on sending.
        stream.handler = nil
        over()
    }

    /// Tells how many bytes the handler keeps of the messages that it was given, until the next call of this or the end
    /// of the call. Their flow-control window is open again, so that only this count bounds them: every handler that
    /// keeps more than some hundred bytes must call this. A call that makes its connection's sum too large ends once
    /// the message has been handed over.
    package func keep(_ byteCount: Int) {
        guard !isOver, byteCount != keptBytes else { return }
        let change = byteCount - keptBytes
        keptBytes = byteCount
        server.noteMessageBytes(change, of: connection)
    }

    /// Tells how many bytes the handler keeps to send once the call is not congested, until the next call of this or
    /// the end of the call. They count as held by the connection (`heldBytesMax`); the handler bounds them.
    package func keepForClient(_ byteCount: Int) {
        if !isOver { stream.keptBytes = byteCount }
    }

    /// Takes no more messages, and so the client's window closes; a few may still come from bytes that were received.
    package func pauseReceiving() { delivery.pause() }

    package func resumeReceiving() {
        if delivery.resume() == .deliver { deliverAnew() }
    }

    /// Messages had to wait, and may be read again.
    func resumeHeldBack() {
        if delivery.release() == .deliver { deliverAnew() }
    }

    private func deliverAnew() {
        let steps = limits.http2.stepsPerTurnMax
        server.charge(deliverAnew(steps: steps), to: callerID)
    }

    /// Returns the steps that it took.
    private func deliverAnew(steps: Int) -> Int {
        let used = deliverMessages(steps: steps)
        if isOver { return used }
        messages.pointee.end()
        noteHeld()
        if delivery.endIfDue(holdsMessages: true) == .end { endReceiving() }
        return used
    }

    /// Charges work for this call, in steps (`WorkSteps`), to its caller.
    package func charge(_ steps: Int) {
        if delivery.isDelivering { stepsLeft -= steps } else { server.charge(steps, to: callerID) }
    }

    /// Goes on with the call's work in a later turn of the loop, beside that of its caller's other calls.
    package func goOnLater(_ work: any UnfinishedWork) {
        IOLoop.goOnLater(work, of: callerID, server.priority)
    }

    /// For a method with one request: ends the call when `requestCame` is not called within `requestMilliseconds`.
    package func awaitRequest() {
        requestTimer = IOLoop.schedule(afterMilliseconds: server.limits.requestMilliseconds) {
            self.abort(
                .limitMet(
                    "requestMilliseconds",
                    "the request did not come within \(self.server.limits.requestMilliseconds) ms", subject: "call"))
        }
    }

    package func requestCame() {
        requestTimer?.cancel()
        requestTimer = nil
    }

    /// Ends the call for a reason that is not the handler's, and tells the handler.
    package func abort(_ status: Status) {
        guard !isOver else { return }
        let handler = self.handler
        finish(status)
        // A client that does not read must not keep buffered messages for ever: trailers would wait behind them.
        if stream.bufferedBytes > 0 {
            IOLoop.schedule(afterMilliseconds: server.limits.lingerMilliseconds) { [stream] in stream.reset(.cancel) }
        }
        handler?.cancelled(status)
    }

    private func over() {
        delivery.over()
        handler = nil
        stream.keptBytes = 0
        deadlineTimer?.cancel()
        deadlineTimer = nil
        requestCame()
        if delivery.isHeldBack { server.stopAwaitingDecompression(self) }
        if let stepsTicket { server.stopAwaitingSteps(stepsTicket) }
        stepsTicket = nil
        server.noteMessageBytes(-notedHeldBytes - keptBytes, of: connection)
        server.callEnded(self)
        caller?.callEnded(self)
    }
}

extension ServerCall: UnfinishedWork {
    /// Hands over messages that were too much for one turn.
    package func goOn(steps: Int) -> Int {
        isToGoOn = false
        guard !isOver, delivery.release() == .deliver else { return 0 }
        let used = deliverAnew(steps: steps)
        server.charge(used, to: callerID)
        return used
    }
}

extension ServerCall: TurnEndHandler {
    package func turnEnded() {
        if let failure { abort(failure) }
    }
}

extension ServerCall: HTTP2StreamHandler {
    func received(headers: [HTTP2Header], tooLarge: Bool) {}  // A client's trailers mean nothing in gRPC.

    func received(data: UnsafeRawBufferPointer) {
        unreleasedBytes += data.count
        messages.pointee.begin(data)
        let used = deliverMessages(steps: stream.connection?.stepsLeft ?? 0)
        // Charged to the connection's share of the turn and its caller's of the second, and to the call's own caller if
        // that is another.
        stream.connection?.charge(used)
        if caller != nil { server.charge(used, to: callerID) }
        if isOver { return }
        messages.pointee.end()
        noteHeld()
    }

    func receivedEnd() {
        if delivery.peerEnded(holdsMessages: true) == .end { endReceiving() }
    }

    func bufferDrained() { handler?.sendBufferDrained() }

    func ended(_ end: HTTP2StreamEnd) {
        guard !isOver else { return }
        let handler = self.handler
        over()
        switch end {
        case .finished: break
        case .reset: handler?.cancelled(Status(.cancelled, "the client cancelled the call"))
        case .connectionLost(let failure):
            handler?.cancelled(Status(.unavailable, "the client's connection was lost: \(failure)"))
        }
    }

    /// Hands over messages for as long as steps are left, and goes on with the others later; the steps that it took.
    private func deliverMessages(steps: Int) -> Int {
        if mustAwaitSteps() { return 0 }
        stepsLeft = steps
        delivery.beginDelivering()
        let mayDecompress = messages.pointee.encoding != .identity
        if mayDecompress {
            messages.pointee.allowDecompression(ofBytes: decompressionLeft)
        }
        do throws(Status) {
            while delivery.wantsMessage, stepsLeft > 0, let message = try messages.pointee.next() {
                stepsLeft -= WorkSteps.perMessage + WorkSteps.copying(message.count)
                if !hasAsked {
                    hasAsked = true
                    server.callAsked(self)
                }
                hasMessageWaited = false
                handler?.received(message)
            }
        } catch {
            abort(error)
        }
        if mayDecompress { noteDecompressed() }
        let mustWait = delivery.wantsMessage && (messages.pointee.isWaiting || stepsLeft <= 0)
        if mustWait { delivery.holdBack() }
        delivery.endDelivering()
        if mustWait { goOnWhenPossible() }
        return steps - stepsLeft
    }

    /// Whether the call must wait because its caller's steps are used up. A connection waits for its own caller by
    /// itself.
    private func mustAwaitSteps() -> Bool {
        guard caller != nil, delivery.wantsMessage, server.stepsLeft(of: callerID) <= 0 else { return false }
        delivery.holdBack()
        stepsTicket = server.awaitSteps(of: callerID) { [weak self] in
            self?.stepsTicket = nil
            self?.resumeHeldBack()
        }
        return true
    }

    /// Bytes that may be decompressed in this turn.
    private var decompressionLeft: Int {
        min(
            server.decompressionLeft(of: connection), limits.decompressedBytesPerTurnMax,
            max(stepsLeft, 0) * WorkSteps.bytesDecompressedPerStep)
    }

    private func goOnWhenPossible() {
        if messages.pointee.isWaiting, server.decompressionLeft(of: connection) <= 0 {
            server.awaitDecompression(self, isFirstTime: !hasMessageWaited)
            hasMessageWaited = true
        } else if !isToGoOn {
            isToGoOn = true
            goOnLater(self)
        }
    }

    private func noteDecompressed() {
        let (byteCount, count) = (messages.pointee.decompressedBytes, messages.pointee.decompressedMessages)
        guard byteCount > 0 || count > 0 else { return }
        server.noteDecompressed(byteCount, messages: count, of: connection)
        stepsLeft -= WorkSteps.decompressing(byteCount, messages: count)
        messages.pointee.decompressedBytes = 0
        messages.pointee.decompressedMessages = 0
    }

    /// Opens the window again for bytes that were taken; an incomplete message counts as taken unless nothing is taken
    /// now.
    private func noteHeld() {
        let held = messages.pointee.heldBytes
        let decompressed = messages.pointee.decompressedHeldBytes
        let total = server.noteMessageBytes(held + decompressed - notedHeldBytes, of: connection)
        notedHeldBytes = held + decompressed
        // The windows bound the bytes that are not taken.
        let counted = keptBytes + decompressed + (delivery.takesNothing ? 0 : held)
        let hasGrown = counted > countedBytes
        countedBytes = counted
        if hasGrown, total > server.limits.messageBytesPerConnectionMax {
            abort(
                .limitMet(
                    "messageBytesPerConnectionMax",
                    "messages of this connection that wait take more than \(server.limits.messageBytesPerConnectionMax) bytes",
                    subject: "connection", details: [.retry(afterMilliseconds: 1_000)]))
            return
        }
        let released = delivery.takesNothing ? unreleasedBytes - held : unreleasedBytes
        guard released > 0 else { return }
        unreleasedBytes -= released
        stream.consume(released)
    }

    private func endReceiving() {
        guard !isOver else { return }
        guard messages.pointee.heldBytes == 0 else {
            abort(Status(.internalError, "the client's last message is incomplete"))
            return
        }
        handler?.receivedEnd()
    }
}
