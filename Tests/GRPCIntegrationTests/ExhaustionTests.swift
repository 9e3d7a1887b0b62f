import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// Peers that use up memory, processor time or descriptors: each is bounded, and who is honest is served.
@Suite(.timeLimit(.minutes(1)))
struct ExhaustionTests {
    private static let enhanceYourCalm: UInt32 = 11
    private static let noError: UInt32 = 0

    /// The request of `Flood`, which asks for more than anybody reads.
    private static func flood(stream: UInt32) -> [UInt8] {
        let message: [UInt8] = [0x08, 0xff, 0xff, 0xff, 0xff, 0x07]
        return Frame.headers(stream: stream, "/test.Echo/Flood")
            + Frame.data(stream: stream, [0, 0, 0, 0, UInt8(message.count)] + message, end: true)
    }

    private static func streams(_ count: UInt32, _ request: (UInt32) -> [UInt8]) -> [UInt8] {
        (0..<count).flatMap { request($0 * 2 + 1) }
    }

    /// What makes the server hold more than it may, on one connection.
    enum Hoard: CaseIterable {
        /// Answers on streams whose windows stay closed.
        case answers
        /// The streams themselves.
        case streams
        /// Messages that do not end.
        case messages
        /// Messages that do, whose call does not.
        case requests
        /// Header lists, which are within their limit.
        case headers

        var bytes: [UInt8] {
            switch self {
            case .answers: Frame.settings([(4, 0)]) + ExhaustionTests.streams(60, ExhaustionTests.flood)
            case .streams:
                Frame.settings() + ExhaustionTests.streams(1_000) { Frame.headers(stream: $0, "/test.Echo/Hang") }
            case .messages:
                Frame.settings()
                    + ExhaustionTests.streams(30) { stream in
                        Frame.headers(stream: stream, "/test.Echo/Hang")
                            + Frame.data(stream: stream, [0, 0, 0x3f, 0xff, 0xff])
                            + (0..<7).flatMap { _ in Frame.data(stream: stream, [UInt8](repeating: 1, count: 16_000)) }
                    }
            case .requests:
                Frame.settings()
                    + ExhaustionTests.streams(30) { stream in
                        Frame.headers(stream: stream, "/test.Echo/Bytes")
                            // 112,000 bytes.
                            + Frame.data(stream: stream, [0, 0, 0x01, 0xb5, 0x80])
                            + (0..<7).flatMap { _ in Frame.data(stream: stream, [UInt8](repeating: 1, count: 16_000)) }
                    }
            case .headers:
                Frame.settings()
                    + ExhaustionTests.streams(200) {
                        Frame.headers(stream: $0, "/test.Echo/Hang", more: true)
                            + Frame.continuation(
                                stream: $0, Frame.field("x", String(repeating: "y", count: 15_000)), end: true)
                    }
            }
        }
    }

    @Test("Above what all peers may make the server hold, the one that holds most ends", arguments: Hoard.allCases)
    func heldBytes(_ hoard: Hoard) async throws {
        var limits = Limits()
        limits.heldBytesMax = 2 << 20
        limits.heldBytesCheckMilliseconds = 10
        try await withServer(limits: limits) { server in
            let honest = try await server.connect()
            let call = await honest.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            let address = server.address
            let answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                try? socket.send(Frame.preface + hoard.bytes)
                return socket.readToEnd()
            }.value
            #expect(Frame.goAwayCodes(in: answer) == [Self.enhanceYourCalm])
            #expect(await server.server.limitsMet == ["heldBytesMax": 1])
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            #expect(await server.server.openCalls == 1)
            await honest.close()
        }
    }

    @Test("Incomplete messages of one connection are bounded, and only the call that goes beyond that ends")
    func incompleteMessages() async throws {
        var limits = Limits()
        limits.incompleteBytesPerConnectionMax = 100_000
        try await withServer(limits: limits) { server in
            let address = server.address
            let piece = [UInt8](repeating: 1, count: 16_000)
            let bytes =
                Frame.preface + Frame.settings()
                + Self.streams(2) {
                    Frame.headers(stream: $0, "/test.Echo/Hang") + Frame.data(stream: $0, [0, 0, 0x3f, 0xff, 0xff])
                }
                + Frame.data(stream: 1, piece) + (0..<7).flatMap { _ in Frame.data(stream: 3, piece) }
            let socket = try RawSocket(to: address)
            try socket.send(bytes)
            while await server.server.limitsMet["incompleteBytesPerConnectionMax"] != 1 { await Task.yield() }
            #expect(await server.server.openCalls == 1)
            _ = consume socket
        }
    }

    @Test("What one connection's gzip may cost is bounded, and another connection's is not affected")
    func gzip() async throws {
        var limits = Limits()
        limits.decompressedBytesPerSecondMax = 1 << 20
        try await withServer(limits: limits) { server in
            let zeros = Bytes(Data(count: 1 << 20))
            let greedy = try await server.connect()
            let honest = try await server.connect()
            let first: Bytes = try await greedy.unary("/test.Echo/Bytes", zeros, options: CallOptions(encoding: .gzip))
            #expect(first == zeros)
            var refusals = 0
            for _ in 0..<3 {
                do {
                    let _: Bytes = try await greedy.unary(
                        "/test.Echo/Bytes", zeros, options: CallOptions(encoding: .gzip))
                } catch let status as Status {
                    #expect(status.limit == "decompressedBytesPerSecondMax")
                    refusals += 1
                }
            }
            #expect(refusals > 0)
            #expect(await server.server.limitsMet == ["decompressedBytesPerSecondMax": UInt64(refusals)])
            // What is not compressed is nobody's business here.
            let plain: Bytes = try await greedy.unary("/test.Echo/Bytes", zeros)
            #expect(plain == zeros)
            let other: Bytes = try await honest.unary("/test.Echo/Bytes", zeros, options: CallOptions(encoding: .gzip))
            #expect(other == zeros)
            await greedy.close()
            await honest.close()
        }
    }

    @Test("Of silent connections, as many as may be are kept, the youngest, and an honest one is served")
    func silentConnections() async throws {
        var limits = Limits()
        limits.connectionsMax = 16
        try await withServer(limits: limits) { server in
            var sockets: [RawSocketBox] = []
            for count in 1...200 {
                sockets.append(RawSocketBox(try RawSocket(to: server.address)))
                while await server.server.connectionsAccepted < count { await Task.yield() }
            }
            while await server.server.openConnections > 16 { await Task.yield() }
            #expect(await server.server.openConnections == 16)
            #expect(await server.server.limitsMet == ["connectionsMax": 184])
            let oldest = sockets[0]
            _ = await Task.detached { oldest.socket.readToEnd() }.value
            let honest = try await server.connect()
            let answer: Text = try await honest.unary("/test.Echo/Unary", Text("x"))
            #expect(answer.value == "x")
            await honest.close()
        }
    }

    @Test("An attacker does not fill the log, and its victim's log names the limit")
    func log() async throws {
        var limits = Limits()
        limits.toldFailuresPerSecondMax = 3
        try await withServer(limits: limits) { server in
            let told = Told()
            await told.watch(server.server)
            for _ in 0..<20 {
                let socket = try RawSocket(to: server.address)
                try? socket.send(Flood.begin + Frame.settings((0..<33).map { (0x2a00 + $0, 1) }))
                _ = socket.readToEnd()
            }
            while await server.server.openConnections > 0 { await Task.yield() }
            let reasons = await told.reasons
            #expect(reasons.count >= 3 && reasons.count < 20)
            #expect(reasons.allSatisfy { $0.contains("settingsEntriesMax") })
        }
    }

    @Test("For one more connection the one that has been idle for longest goes, and never one with a call")
    func idleConnections() async throws {
        var limits = Limits()
        limits.connectionsMax = 4
        try await withServer(limits: limits) { server in
            let busy = try await server.connect()
            let call = await busy.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            let idle = RawSocketBox(try RawSocket(to: server.address))
            try idle.socket.send(Flood.begin)
            while await server.server.connectionsAccepted < 2 { await Task.yield() }
            _ = try await Task.detached { try idle.socket.readSome() }.value
            var others: [Client] = []
            for _ in 0..<3 { others.append(try await server.connect()) }
            let rest = await Task.detached { idle.socket.readToEnd() }.value
            #expect(Frame.goAwayCodes(in: rest) == [Self.noError])
            #expect(await server.server.limitsMet == ["connectionsMax": 1])
            try await call.send(Bytes(Data([2])))
            #expect(try await answers.next() == Bytes(Data([2])))
            for other in others { await other.close() }
            await busy.close()
        }
    }

    @Test("Where every connection has a call, the one goes that has asked nothing, and never one that has")
    func silentCalls() async throws {
        var limits = Limits()
        limits.connectionsMax = 2
        try await withServer(limits: limits) { server in
            let silent = RawSocketBox(try RawSocket(to: server.address))
            let begun = Frame.headers(stream: 1, "/test.Echo/Echo") + Frame.data(stream: 1, [0, 0, 0, 0])
            try silent.socket.send(Flood.begin + begun)
            while await server.server.openCalls < 1 { await Task.yield() }
            let busy = try await server.connect()
            let call = await busy.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            let another = try await server.connect()
            let answer: Text = try await another.unary("/test.Echo/Unary", Text("x"))
            #expect(answer.value == "x")
            let rest = await Task.detached { silent.socket.readToEnd() }.value
            #expect(Frame.goAwayCodes(in: rest) == [Self.noError])
            try await call.send(Bytes(Data([2])))
            #expect(try await answers.next() == Bytes(Data([2])))
            await another.close()
            await busy.close()
        }
    }

    @Test("Where every connection has asked something, one more is refused")
    func busyConnections() async throws {
        var limits = Limits()
        limits.connectionsMax = 2
        try await withServer(limits: limits) { server in
            var clients: [Client] = []
            for count in 1...2 {
                let client = try await server.connect()
                let answers: MessageStream<Text> = await client.serverStreaming("/test.Echo/Hang", Text("x"))
                _ = answers
                while await server.server.openCalls < count { await Task.yield() }
                clients.append(client)
            }
            await #expect(throws: Status.self) { _ = try await server.connect() }
            #expect(await server.server.connectionsRefused == 1)
            for client in clients { await client.close() }
        }
    }

    @Test("A peer that lets bytes wait and takes none is closed after a while, and its memory was bounded")
    func writeStall() async throws {
        var limits = Limits()
        limits.http2.writeStallMilliseconds = 200
        try await withServer(limits: limits) { server in
            let request =
                Frame.preface + Frame.settings([(4, 0x7fff_ffff)]) + Frame.windowUpdate(stream: 0, 0x7fff_0000)
                + Self.flood(stream: 1)
            let socket = try RawSocket(to: server.address)
            try socket.send(request)
            while await server.server.callsBegun == 0 { await Task.yield() }
            while await server.server.openConnections > 0 { await Task.yield() }
            #expect(await server.server.openCalls == 0)
            #expect(await server.server.limitsMet == ["writeStallMilliseconds": 1])
            _ = consume socket
        }
    }
}

/// What a server told of its connections.
@IOLoop
private final class Told {
    private(set) var reasons: [String] = []
    nonisolated init() {}
    func watch(_ server: Server) { server.onConnectionFailure = { _, reason in self.reasons.append(reason) } }
}

/// A raw socket that several tasks hold, one after the other.
final class RawSocketBox: Sendable {
    let socket: RawSocket
    init(_ socket: consuming RawSocket) { self.socket = socket }
}
