internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTPTypes
internal import NIOPosix

/// Serves HTTP/1.1 on a listening socket that was bound elsewhere, each connection by a task of its own.
struct HTTPServer: Sendable {
    /// The listening socket's descriptor, which this takes over.
    let listener: NIOBSDSocket.Handle
    let bridge: Bridge

    /// Serves until the process ends; throws when the socket cannot be used.
    func run() async throws {
        let limits = bridge.limits
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let logger = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
        let http = HTTP1Channel(
            responder: { [bridge] request, writer, channel in
                try await bridge.respond(to: request, writer)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [RequestClock(limits, bridge.answers)],
                httpDecoderConfiguration: HTTP1Channel.Configuration.DecoderConfiguration(
                    maxHeaderFieldSize: limits.headBytesMax, maxHeaderListSize: limits.headBytesMax,
                    maxHeaderFieldCount: limits.fieldsMax)))
        // A client that closes is gone: it must not count as one that has only finished sending.
        let server = try await ServerBootstrap(group: group)
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: false)
            .bind(listener) { channel in http.setup(channel: channel, logger: logger) }
        try await server.executeThenClose { connections in
            let open = OpenConnections(max: limits.connectionsMax)
            for try await connection in connections {
                await open.take()
                let task = Task { await http.handle(value: connection, logger: logger) }
                // Whatever the task waits for: the agent's next event comes too late for a client that is gone.
                connection.channel.closeFuture.whenComplete { _ in
                    task.cancel()
                    Task { await open.giveBack() }
                }
            }
        }
    }
}
