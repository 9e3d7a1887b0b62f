internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOPosix

/// Serves HTTP/1.1 on a listening socket that was bound elsewhere, each connection by a task of its own.
struct HTTPServer: Sendable {
    /// The listening socket's descriptor, which this takes over.
    let listener: NIOBSDSocket.Handle
    let bridge: Bridge

    /// Serves until the process ends, and accepts until it retires; throws when the socket cannot be used.
    func run() async throws {
        let limits = bridge.limits
        let open = OpenConnections(max: limits.connectionsMax)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let logger = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
        let http = HTTP1Channel(
            responder: { [bridge] request, writer, channel in
                try await bridge.respond(to: request, writer, on: channel.eventLoop)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [RequestClock(limits, bridge.answers, open.idle)],
                httpDecoderConfiguration: HTTP1Channel.Configuration.DecoderConfiguration(
                    maxHeaderFieldSize: limits.headBytesMax, maxHeaderListSize: limits.headBytesMax,
                    maxHeaderFieldCount: limits.fieldsMax)))
        // A client that closes is gone: it must not count as one that has only finished sending.
        let server = try await ServerBootstrap(group: group)
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: false)
            .bind(listener) { [security = bridge.security] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let tls = security.tls else { return }
                    let handler = try TLSHandler(tls.context, clientSubjects: tls.clientSubjects, limits)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }.flatMap {
                    http.setup(channel: channel, logger: logger)
                }.flatMapThrowing { connection in
                    let pipeline = channel.pipeline.syncOperations
                    let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
                    try pipeline.addHandler(RequestHeads(), position: .before(codec))
                    return connection
                }
            }
        bridge.security.whenRetired { [channel = server.channel] in channel.close(promise: nil) }
        try await server.executeThenClose { connections in
            for try await connection in connections {
                await open.take(connection.channel)
                let task = Task { await http.handle(value: connection, logger: logger) }
                // Whatever the task waits for: the agent's next event comes too late for a client that is gone.
                connection.channel.closeFuture.whenComplete { _ in
                    task.cancel()
                    open.idle.ended(connection.channel)
                    Task { await open.giveBack() }
                }
            }
        }
        // The answers that are open go on.
        while bridge.security.retires { try await Task.sleep(for: .seconds(1)) }
    }
}
