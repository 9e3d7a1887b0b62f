import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// Peers that mean no good: each is cut off with the code and the name of the limit that it met, and an honest client
/// beside it notices nothing.
@Suite(.timeLimit(.minutes(1)))
struct AttackTests {

    /// Sends what an attacker sends, and returns what the server said before it closed.
    private func attack(
        limits: Limits = Limits(), _ bytes: [UInt8], met limit: HTTP2Limits.Name? = nil, closing: Bool = false
    ) async throws -> [UInt8] {
        var answer: [UInt8] = []
        try await withServer(limits: limits) { server in
            let honest = try await server.connect()
            let call = await honest.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            let address = server.address
            answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                // The server may close before it has taken everything.
                try? socket.send(bytes)
                if closing { socket.finishSending() }
                return socket.readToEnd()
            }.value
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            await honest.close()
            if let limit { #expect(await server.server.limitsMet[limit.rawValue] ?? 0 > 0, "\(limit) is not counted") }
        }
        return answer
    }

    @Test("A flood ends its connection with ENHANCE_YOUR_CALM and the limit's name", arguments: Flood.all)
    func floods(_ flood: Flood) async throws {
        let answer = try await attack(limits: flood.limits, flood.bytes, met: flood.limit)
        let goAways = Frame.goAways(in: answer)
        #expect(goAways.map(\.code) == [.enhanceYourCalm])
        #expect(goAways.first?.debugData.hasPrefix(flood.words) == true, "\(goAways)")
    }

    @Test("KeyUpdates of TLS, which nobody sees above it, are counted too")
    func keyUpdates() async throws {
        try await withServer(.tls) { server in
            let address = server.address
            let most = HTTP2Limits().keyUpdatesPerSecondMax
            // Half of what is allowed, and then far more, in one piece of which the server reads a part at a time.
            let answer = try await Task.detached {
                let client = try RawTLSClient(to: address)
                try client.send(Flood.begin)
                try client.sendKeyUpdates(most / 2)
                try client.send(Frame.headers(stream: 1, "/test.Echo/Bytes") + Frame.data(stream: 1, [], end: true))
                try? client.sendKeyUpdates(50 * most)
                return client.readToEnd()
            }.value
            let goAways = Frame.goAways(in: answer)
            #expect(goAways.map(\.code) == [.enhanceYourCalm])
            #expect(goAways.first?.debugData.hasPrefix("keyUpdatesPerSecondMax") == true)
            #expect(await server.server.limitsMet == ["keyUpdatesPerSecondMax": 1])
        }
    }

    @Test("A client that reads late, and answers then all that it was sent at once, goes on")
    func lateAnswers() async throws {
        var limits = Limits()
        limits.http2.windowUpdatesPerSecondMax = 100
        limits.http2.lateResetsPerSecondMax = 10
        try await withServer(limits: limits) { server in
            let address = server.address
            let answered = try await Task.detached {
                let socket = try RawSocket(to: address)
                func call(_ stream: UInt32) -> [UInt8] {
                    Frame.headers(stream: stream, "/test.Echo/Bytes")
                        + Frame.data(stream: stream, [0, 0, 0, 0, 3, 0x0a, 1, 7], end: true)
                }
                /// HEADERS with END_STREAM: the trailers of so many calls.
                func ends(_ count: Int) -> ([UInt8]) -> Bool {
                    { Frame.all(in: $0).count { $0.type == 1 && $0.flags & 1 != 0 } >= count }
                }
                try socket.send(Flood.begin + Flood.many(400, call))
                try socket.readUntil(ends(400))
                // Two for each DATA frame, and a reset of every stream, which the server has ended.
                try socket.send(Flood.many(800) { _ in Frame.windowUpdate(stream: 0, 1) })
                try socket.send(Flood.many(400) { Frame.reset(stream: $0) })
                try socket.send(call(1_001))
                try socket.readUntil(ends(1))
                return true
            }.value
            #expect(answered)
            #expect(await server.server.limitsMet.isEmpty)
        }
    }

    @Test("Metadata of too many fields, or of too many bytes, is told by the limit that it met")
    func metadata() async throws {
        for (fields, limit) in [
            ((0..<130).map { HTTP2Header("x\($0)", "y") }, "headerCountMax"),
            ((0..<40).map { HTTP2Header("x\($0)", String(repeating: "y", count: 1_000)) }, "headerListBytesMax"),
        ] {
            try await withServer { server in
                let client = try await RawClient(to: server.address)
                let answer = await client.request("/test.Echo/Bytes", fields: fields)
                #expect(answer.field("grpc-status") == "8")
                #expect(answer.field("grpc-message")?.contains(limit) == true)
                #expect(await server.server.limitsMet == [limit: 1])
                await client.close()
            }
        }
    }

    @Test("Streams above the limit are refused, and end the connection once the client knows the limit")
    func concurrentStreams() async throws {
        var limits = Limits()
        limits.http2.concurrentStreamsMax = 10
        let requests = Flood.many(50) { Frame.headers(stream: $0, "/test.Echo/Hang") }
        let refused = try await attack(
            limits: limits, Flood.begin + requests, met: .concurrentStreamsMax, closing: true)
        #expect(
            Frame.all(in: refused).compactMap(\.resetCode) == [HTTP2ErrorCode](repeating: .refusedStream, count: 40))
        let known = Flood.begin + Frame.settingsAcknowledgement() + requests
        let answer = try await attack(limits: limits, known, met: .concurrentStreamsMax)
        #expect(Frame.goAways(in: answer).map(\.code) == [.protocolError])
    }

    @Test("A header block that does not end is waited for only so long")
    func slowHeaders() async throws {
        var limits = Limits()
        limits.http2.headersMilliseconds = 50
        let answer = try await attack(
            limits: limits, Flood.begin + Frame.headers(stream: 1, "/x", more: true), met: .headersMilliseconds)
        #expect(Frame.goAways(in: answer).map(\.code) == [.enhanceYourCalm])
    }

    @Test("Garbage, and frames that break the protocol, end the connection")
    func garbage() async throws {
        _ = try await attack((0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        _ = try await attack(Flood.begin + Frame.data(stream: 1, [1, 2, 3]))
        _ = try await attack(Flood.begin + Frame.make(type: 4, [1, 2, 3]))
        _ = try await attack(Flood.begin + Frame.windowUpdate(stream: 0, 0))
        _ = try await attack(Flood.begin + [255, 255, 255, 0, 0, 0, 0, 0, 1])
    }
}
