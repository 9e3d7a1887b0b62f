import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// Peers that mean no good: each is cut off, and an honest client beside it notices nothing.
@Suite(.timeLimit(.minutes(1)))
struct AttackTests {
    private static let enhanceYourCalm: UInt32 = 11
    private static let begin = Frame.preface + Frame.settings()

    /// Sends what an attacker sends, and returns what the server said before it closed.
    private func attack(limits: Limits = Limits(), _ bytes: [UInt8]) async throws -> [UInt8] {
        var answer: [UInt8] = []
        try await withServer(limits: limits) { server in
            let honest = try await server.connect()
            let call = await honest.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            let address = server.address
            answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                // The server may close before it has taken everything.
                try? socket.send(bytes)
                return (try? socket.readToEnd()) ?? []
            }.value
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            await honest.close()
        }
        return answer
    }

    /// Whether an attack ends; the GOAWAY may be lost when the kernel resets a connection that still sends.
    private func expectCut(_ answer: [UInt8]) {
        let codes = Frame.goAwayCodes(in: answer)
        #expect(codes.isEmpty || codes == [Self.enhanceYourCalm])
    }

    @Test("Floods of frames that cost nothing end the connection")
    func floods() async throws {
        let open = Self.begin + Frame.headers(stream: 1, "/test.Echo/Hang")
        let floods: [[UInt8]] = [
            Self.begin + (0..<5_000).flatMap { _ in Frame.settings() },
            Self.begin + (0..<20_000).flatMap { _ in Frame.ping() },
            open + (0..<20_000).flatMap { _ in Frame.data(stream: 1) },
            Self.begin + (0..<50_000).flatMap { _ in Frame.priority(stream: 3) },
        ]
        for flood in floods { expectCut(try await attack(flood)) }
    }

    @Test("A rapid reset ends the connection, and its calls with it")
    func rapidReset() async throws {
        var limits = Limits()
        limits.http2.resetsPerSecondMax = 100
        var flood = Self.begin
        for index in 0..<UInt32(5_000) {
            flood += Frame.headers(stream: index * 2 + 1, "/test.Echo/Hang")
            flood += Frame.reset(stream: index * 2 + 1)
        }
        expectCut(try await attack(limits: limits, flood))
    }

    @Test("A header list without end, in one frame or in many, ends the connection")
    func headerBombs() async throws {
        let field = Frame.field("x", String(repeating: "y", count: 100))
        let piece = (0..<100).flatMap { _ in field }
        let flood = (0..<50).flatMap { _ in Frame.continuation(stream: 1, piece) }
        _ = try await attack(Self.begin + Frame.headers(stream: 1, "/x", more: true) + flood)
        let empty = (0..<10_000).flatMap { _ in Frame.continuation(stream: 1) }
        _ = try await attack(Self.begin + Frame.headers(stream: 1, "/x", more: true) + empty)
    }

    @Test("A header block that does not end is waited for only so long")
    func slowHeaders() async throws {
        var limits = Limits()
        limits.http2.headersMilliseconds = 50
        let answer = try await attack(limits: limits, Self.begin + Frame.headers(stream: 1, "/x", more: true))
        #expect(Frame.goAwayCodes(in: answer) == [Self.enhanceYourCalm])
    }

    @Test("Garbage, and frames that break the protocol, end the connection")
    func garbage() async throws {
        _ = try await attack((0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        _ = try await attack(Self.begin + Frame.data(stream: 1, [1, 2, 3]))
        _ = try await attack(Self.begin + Frame.make(type: 4, [1, 2, 3]))
        _ = try await attack(Self.begin + Frame.windowUpdate(stream: 0, 0))
        _ = try await attack(Self.begin + [255, 255, 255, 0, 0, 0, 0, 0, 1])
    }

    @Test("A peer that lets bytes wait and takes none is closed after a while, and its memory was bounded")
    func writeStall() async throws {
        var limits = Limits()
        limits.http2.writeStallMilliseconds = 200
        try await withServer(limits: limits) { server in
            let address = server.address
            // The request of `Flood`: field 1, a varint, many.
            let message: [UInt8] = [0x08, 0xff, 0xff, 0xff, 0xff, 0x07]
            let request =
                Frame.preface + Frame.settings([(4, 0x7fff_ffff)]) + Frame.windowUpdate(stream: 0, 0x7fff_0000)
                + Frame.headers(stream: 1, "/test.Echo/Flood")
                + Frame.data(stream: 1, [0, 0, 0, 0, UInt8(message.count)] + message, end: true)
            let socket = try RawSocket(to: address)
            try socket.send(request)
            while await server.server.callsBegun == 0 { await Task.yield() }
            while await server.server.openConnections > 0 { await Task.yield() }
            #expect(await server.server.openCalls == 0)
            _ = consume socket
        }
    }
}
