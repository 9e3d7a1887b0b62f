import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// Peers that use up memory, processor time or descriptors: each is bounded, and honest clients are served.
@Suite(.timeLimit(.minutes(1)))
struct ExhaustionTests {
    private static let enhanceYourCalm: UInt32 = 11

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
        /// Whole requests of calls whose end does not come.
        case requests
        /// Whole messages that their handler does not read.
        case unread
        /// Header lists, which are within their limit.
        case headers
        /// The same, before trailers that are short.
        case headersBeforeTrailers

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
            case .requests: Frame.settings() + ExhaustionTests.messages("/test.Echo/Bytes")
            case .unread: Frame.settings() + ExhaustionTests.messages("/test.Echo/Deaf")
            case .headers: Frame.settings() + ExhaustionTests.streams(200, ExhaustionTests.headers)
            case .headersBeforeTrailers:
                Frame.settings()
                    + ExhaustionTests.streams(200) {
                        ExhaustionTests.headers(stream: $0)
                            + Frame.make(type: 1, flags: 5, stream: $0, Frame.field("x", "y"))
                    }
            }
        }
    }

    /// Calls with a whole message of 100 KB each, which do not end.
    private static func messages(_ path: String) -> [UInt8] {
        let message: [UInt8] = (try? Bytes(Data(count: 100_000)).serializedBytes()) ?? []
        let body = [0] + withUnsafeBytes(of: UInt32(message.count).bigEndian) { Array($0) } + message
        return streams(30) { stream in
            Frame.headers(stream: stream, path)
                + stride(from: 0, to: body.count, by: 16_000).flatMap {
                    Frame.data(stream: stream, Array(body[$0..<min($0 + 16_000, body.count)]))
                }
        }
    }

    private static func headers(stream: UInt32) -> [UInt8] {
        Frame.headers(stream: stream, "/test.Echo/Hang", more: true)
            + Frame.continuation(stream: stream, Frame.field("x", String(repeating: "y", count: 15_000)), end: true)
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
        limits.messageBytesPerConnectionMax = 100_000
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
            while await server.server.limitsMet["messageBytesPerConnectionMax"] != 1 { await Task.yield() }
            #expect(await server.server.openCalls == 1)
            _ = consume socket
        }
    }

    @Test("Whole messages that wait count as the incomplete ones do, and what has been let go of does not")
    func keptMessages() async throws {
        var limits = Limits()
        limits.messageBytesPerConnectionMax = 250_000
        try await withServer(limits: limits) { server in
            let client = try await RawClient(to: server.address)
            let body = try Gzipped.framed(Bytes(Data(count: 100_000)), compressed: false)
            for _ in 0..<5 {
                let answer = await client.request("/test.Echo/Bytes", body: body)
                #expect(answer.field("grpc-status") == "0")
            }
            async let first = client.request("/test.Echo/Bytes", body: body, endsBody: false)
            async let second = client.request("/test.Echo/Deaf", body: body, endsBody: false)
            while await server.server.callsBegun < 7 { await Task.yield() }
            let third = await client.request("/test.Echo/Bytes", body: body, endsBody: false)
            #expect(third.field("grpc-status") == "8")
            #expect(third.field("grpc-message")?.contains("messageBytesPerConnectionMax") == true)
            #expect(await server.server.openCalls == 2)
            await client.close()
            _ = await (first, second)
        }
    }

    @Test("An answer that is longer than a stream may hold ends its call by name")
    func longAnswer() async throws {
        var limits = Limits()
        limits.http2.streamBufferBytesMax = 100_000
        try await withServer(limits: limits) { server in
            let client = try await RawClient(to: server.address)
            for (count, status) in [(90_000, "0"), (110_000, "8")] {
                let body = try Gzipped.framed(Bytes(Data(count: count)), compressed: false)
                let answer = await client.request("/test.Echo/Bytes", body: body)
                #expect(answer.field("grpc-status") == status)
            }
            #expect(await server.server.limitsMet == ["streamBufferBytesMax": 1])
            await client.close()
        }
    }

    @Test(
        "A send that meets the bound tells its sender later, and what lacks a part never ends well",
        arguments: [false, true])
    func heedless(finishes: Bool) async throws {
        var limits = Limits()
        limits.http2.streamBufferBytesMax = 100_000
        try await withServer(limits: limits) { server in
            let client = try await server.connect()
            let method = finishes ? "HeedlessToTheEnd" : "Heedless"
            for (bytes, isWhole) in [(50_000 as UInt64, true), (5_000_000, false)] where finishes || !isWhole {
                let answers: MessageStream<Bytes> = await client.serverStreaming(
                    "/test.Echo/\(method)", Number(bytes))
                do {
                    for try await _ in answers {}
                    #expect(isWhole)
                } catch let status as Status {
                    #expect(!isWhole)
                    #expect(status.limit == "streamBufferBytesMax")
                }
            }
            if !finishes { await server.service.log.wait(for: "RESOURCE_EXHAUSTED after 5000000") }
            await client.close()
        }
    }

    @Test("A method's one request must come in time; a stream may wait for its messages", arguments: [true, false])
    func slowRequest(hasMessage: Bool) async throws {
        var limits = Limits()
        limits.requestMilliseconds = 50
        try await withServer(limits: limits) { server in
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            let raw = try await RawClient(to: server.address)
            let body = hasMessage ? try Gzipped.framed(Bytes(Data([1])), compressed: false) : []
            let answer = await raw.request("/test.Echo/Bytes", body: body, endsBody: false)
            #expect(answer.field("grpc-status") == "8")
            #expect(answer.field("grpc-message")?.contains("requestMilliseconds") == true)
            #expect(await server.server.limitsMet == ["requestMilliseconds": 1])
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            await raw.close()
            await client.close()
        }
    }

    @Test("What one connection's gzip may cost is bounded: its messages wait, none is lost, and others do not wait")
    func gzip() async throws {
        var limits = Limits()
        // So little that it is used up however slow the machine is.
        limits.decompressedBytesPerSecondMax = 50_000
        try await withServer(limits: limits) { server in
            let message = Bytes(Data(count: 40_000))
            let compressed = try Gzipped.framed(message, compressed: true)
            let plain = try Gzipped.framed(message, compressed: false)
            let encoding = HTTP2Header("grpc-encoding", "gzip")
            let greedy = try await RawClient(to: server.address)
            // What comes in one piece is more than a second's share.
            let body = [[UInt8]](repeating: compressed, count: 4).flatMap { $0 }
            async let first = greedy.request("/test.Echo/Echo", fields: [encoding], body: body)
            async let second = greedy.request("/test.Echo/Echo", fields: [encoding], body: compressed)
            while await server.server.limitsMet["decompressedBytesPerSecondMax"] == nil { await Task.yield() }
            // Uncompressed messages are not affected, nor those of another connection.
            let unaffected = await greedy.request("/test.Echo/Bytes", fields: [encoding], body: plain)
            #expect(unaffected.body == plain)
            let honest = try await RawClient(to: server.address)
            let other = await honest.request("/test.Echo/Bytes", fields: [encoding], body: compressed)
            #expect(other.body == plain)
            let (long, short) = await (first, second)
            #expect(long.field("grpc-status") == "0" && short.field("grpc-status") == "0")
            #expect(long.body == [[UInt8]](repeating: plain, count: 4).flatMap { $0 })
            #expect(short.body == plain)
            await greedy.close()
            await honest.close()
        }
    }

    @Test("What all connections' gzip may cost is bounded too: compressed messages wait for each other, others do not")
    func gzipOfAll() async throws {
        var limits = Limits()
        limits.decompressedBytesPerSecondTotalMax = 50_000
        try await withServer(limits: limits) { server in
            let message = Bytes(Data(count: 40_000))
            let compressed = try Gzipped.framed(message, compressed: true)
            let plain = try Gzipped.framed(message, compressed: false)
            let encoding = HTTP2Header("grpc-encoding", "gzip")
            let greedy = try await RawClient(to: server.address)
            let honest = try await RawClient(to: server.address)
            let body = [[UInt8]](repeating: compressed, count: 4).flatMap { $0 }
            async let many = greedy.request("/test.Echo/Echo", fields: [encoding], body: body)
            while await server.server.limitsMet["decompressedBytesPerSecondTotalMax"] == nil { await Task.yield() }
            let unaffected = await honest.request("/test.Echo/Bytes", fields: [encoding], body: plain)
            #expect(unaffected.body == plain)
            let delayed = await honest.request("/test.Echo/Bytes", fields: [encoding], body: compressed)
            #expect(delayed.body == plain)
            #expect(await many.body == [[UInt8]](repeating: plain, count: 4).flatMap { $0 })
            #expect(await server.server.limitsMet["decompressedBytesPerSecondMax"] == nil)
            await greedy.close()
            await honest.close()
        }
    }

    @Test("A call that waits for gzip's share can be cancelled, and its connection lost")
    func gzipCancelled() async throws {
        var limits = Limits()
        limits.decompressedBytesPerSecondMax = 10_000
        try await withServer(limits: limits) { server in
            let zeros = Bytes(Data(count: 100_000))
            let client = try await server.connect()
            var calls: [BidirectionalCall<Bytes, Bytes>] = []
            for _ in 0..<3 {
                let call = await client.bidirectional(
                    "/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self,
                    options: CallOptions(encoding: .gzip))
                try await call.send(zeros)
                calls.append(call)
            }
            while await server.server.limitsMet["decompressedBytesPerSecondMax"] != 3 { await Task.yield() }
            await calls[1].cancel()
            while await server.server.openCalls == 3 { await Task.yield() }
            await client.close()
            while await server.server.openCalls > 0 { await Task.yield() }
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
