internal import NIOCore
internal import TLSSession

/// An answer on this connection is cut off: its end must not look like the answer's.
struct AnswerCut {}

/// TLS between a client and the handlers of HTTP. On the connection's event loop.
///
/// A connection that is closed between answers ends with close_notify (RFC 8446, section 6.1); one that is closed in the
/// middle of an answer ends without.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// Nothing has come.
        case silent
        case handshaking
        case open
        /// The client is told why it is refused, when it asks.
        case refused(String)
        /// Nothing more is taken or sent.
        case over
    }

    private let session: TLSSession
    private let clientSubjects: Set<String>
    private let limits: BridgeLimits
    private var phase = Phase.silent
    private var handshakeBytes = 0
    private var keyUpdates = 0
    private var isCut = false

    /// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
    private static let handshakeRecord: UInt8 = 22

    init(_ context: TLSContext, clientSubjects: Set<String>, _ limits: BridgeLimits) throws(TLSError) {
        session = try TLSSession(carrying: context)
        self.clientSubjects = clientSubjects
        self.limits = limits
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch phase {
        case .over: return
        case .silent where bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) != Self.handshakeRecord:
            let refusal = Self.refusal("400 Bad Request", "This address speaks HTTPS: write https:// before it.")
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: refusal)), promise: nil)
            return end(context)
        case .silent: phase = .handshaking
        case .handshaking, .open, .refused: break
        }
        if case .handshaking = phase { handshakeBytes += bytes.readableBytes }
        var plain = ByteBuffer()
        do {
            let isEnded = try bytes.withUnsafeReadableBytes { bytes in
                try session.receive(bytes) { () throws(TLSError) in try take(into: &plain) }
            }
            sendOutgoing(context)
            keyUpdates += session.takeKeyUpdates()
            if plain.readableBytes > 0 { received(plain, context) }
            if isEnded || handshakeBytes > limits.handshakeBytesMax || keyUpdates > limits.keyUpdatesMax {
                context.close(promise: nil)
            }
        } catch {
            // What OpenSSL tells the client of it.
            sendOutgoing(context)
            phase = .over
            context.close(promise: nil)
        }
    }

    private func received(_ plain: ByteBuffer, _ context: ChannelHandlerContext) {
        switch phase {
        case .open: context.fireChannelRead(wrapInboundOut(plain))
        case .refused(let answer):
            write(context: context, data: wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
            context.flush()
            end(context)
        case .silent, .handshaking, .over: break
        }
    }

    /// Goes on with what has come until all of it is taken. Returns whether the client has ended.
    private func take(into plain: inout ByteBuffer) throws(TLSError) -> Bool {
        if case .handshaking = phase {
            guard case .moved = try session.handshake() else { return false }
            phase = .open
            let names = session.peerCertificate?.names ?? []
            if !clientSubjects.isEmpty, clientSubjects.isDisjoint(with: names) {
                let shown = names.isEmpty ? "no name" : names.joined(separator: ", ")
                phase = .refused(
                    Self.refusal(
                        "403 Forbidden",
                        "A certificate of \(shown.prefix(256)) may not call: have this host's owner allow it with "
                            + "--tls-client-subject."))
            }
        }
        while true {
            var step = TLSSession.Step.wantRead
            try plain.writeWithUnsafeMutableBytes(minimumWritableBytes: 4 << 10) { buffer throws(TLSError) in
                step = try session.read(into: buffer)
                return if case .moved(let count) = step { count } else { 0 }
            }
            switch step {
            case .moved: continue
            case .wantRead, .wantWrite: return false
            case .ended: return true
            }
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        switch phase {
        case .open, .refused: break
        case .silent, .handshaking, .over:
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        do {
            try bytes.withUnsafeReadableBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    guard case .moved(let count) = try session.write(UnsafeRawBufferPointer(rebasing: rest)) else {
                        throw TLSError(.peer, "TLS write: the session takes no more")
                    }
                    rest = rest.dropFirst(count)
                }
            }
            context.write(wrapOutboundOut(ByteBuffer(bytes: session.takeOutgoing())), promise: promise)
        } catch {
            promise?.fail(error)
            phase = .over
            context.close(promise: nil)
        }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is AnswerCut else { return context.triggerUserOutboundEvent(event, promise: promise) }
        isCut = true
        promise?.succeed()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input, case .open = phase {
            if !isCut {
                session.close()
                sendOutgoing(context)
            }
            phase = .over
        }
        context.close(mode: mode, promise: promise)
    }

    /// Ends sending; the client closes, or the clock does.
    private func end(_ context: ChannelHandlerContext) {
        if case .refused = phase {
            session.close()
            sendOutgoing(context)
        }
        phase = .over
        context.close(mode: .output, promise: nil)
    }

    private func sendOutgoing(_ context: ChannelHandlerContext) {
        let bytes = session.takeOutgoing()
        guard !bytes.isEmpty else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private static func refusal(_ status: String, _ text: String) -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \(text.utf8.count + 1)\r\n"
            + "Connection: close\r\n\r\n\(text)\n"
    }
}
