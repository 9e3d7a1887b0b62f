internal import HTTPProtocols
internal import NIOCore
internal import NIOHTTP1

/// Has the head of a request say one thing only, before it is read: which host it is for, and whether the connection
/// goes on.
final class RequestHeads: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        let host = RequestOrigin.host(of: head.uri, fields: head.headers["host"])
        head.headers.remove(name: "host")
        if let host { head.headers.add(name: "host", value: host) }
        // HTTP/1.0 ends a connection after its answer (RFC 9112, section 9.3).
        let options = head.headers[canonicalForm: "connection"].map { $0.lowercased() }
        if head.version != .http1_1 || options.contains("close") {
            head.headers.replaceOrAdd(name: "connection", value: "close")
        }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }
}
