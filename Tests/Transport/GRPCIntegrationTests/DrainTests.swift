import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// How a server ends connections that have done nothing wrong (RFC 9113, section 6.8), when their clients make it hard.
@Suite(.timeLimit(.minutes(1)))
struct DrainTests {
    private static let hang = Frame.headers(stream: 1, "/test.Echo/Hang")

    /// A connection with a call, on a server that drains, after the notice.
    private func noticed(
        _ server: TestServer, then body: (borrowing RawSocket) async throws -> Void
    ) async throws {
        let raw = try RawSocket(to: server.address)
        try raw.send(Frame.preface + Frame.settings() + Self.hang)
        await server.service.log.wait(for: "began")
        let drained = Task { await server.server.drain(graceMilliseconds: 60_000) }
        try raw.readUntil { Frame.goAways(in: $0).count == 1 }
        try await body(raw)
        await drained.value
    }

    @Test("A client's own GOAWAY does not keep a server from draining")
    func clientGoAway() async throws {
        var limits = Limits()
        limits.http2.drainUnreadMilliseconds = 30
        try await withServer(limits: limits) { server in
            let raw = try RawSocket(to: server.address)
            try raw.send(Frame.preface + Frame.settings([(4, 0)]) + Self.hang + Frame.goAway())
            try raw.send(
                Frame.headers(stream: 3, "/test.Echo/Bytes")
                    + Frame.data(stream: 3, [0, 0, 0, 0, 3, 0x0a, 1, 7], end: true))
            await server.service.log.wait(for: "began")
            while await server.server.callsBegun < 2 { await Task.yield() }
            let drained = Task { await server.server.drain(graceMilliseconds: 60_000) }
            var isReset = false
            try raw.readUntil { bytes in
                isReset = isReset || Frame.all(in: bytes).contains { $0.stream == 3 && $0.resetCode == .cancel }
                return isReset && Frame.goAways(in: bytes).map(\.debugData) == ["the server is shutting down"]
            }
            try raw.send(Frame.reset(stream: 1))
            _ = raw.readToEnd()
            await drained.value
        }
    }

    @Test("A connection whose client has sent GOAWAY ends with its last stream")
    func clientGoAwayAlone() async throws {
        try await withServer { server in
            let raw = try RawSocket(to: server.address)
            try raw.send(Frame.preface + Frame.settings() + Self.hang + Frame.goAway())
            await server.service.log.wait(for: "began")
            try raw.send(Frame.reset(stream: 1))
            #expect(Frame.goAways(in: raw.readToEnd()).map(\.code) == [.noError])
        }
    }

    @Test("A stream that comes with the answer to the notice is served, and GOAWAY's last word says so")
    func lateStream() async throws {
        try await withServer { server in
            try await noticed(server) { raw in
                let late =
                    Frame.headers(stream: 3, "/test.Echo/Bytes") + Frame.data(stream: 3, [0, 0, 0, 0, 0], end: true)
                try raw.send(Frame.pingAnswer(to: 1) + late)
                var answer: [UInt8] = []
                try raw.readUntil { bytes in
                    answer = bytes
                    return Frame.goAways(in: bytes).count == 1
                        && Frame.all(in: bytes).contains { $0.stream == 3 && $0.type == 1 && $0.flags & 1 != 0 }
                }
                let last = Frame.all(in: answer).first { $0.type == 7 }?.payload.prefix(4)
                #expect(last == [0, 0, 0, 3])
                try raw.send(Frame.reset(stream: 1))
                _ = raw.readToEnd()
            }
        }
    }

    @Test("After the last word new streams are ignored, the open ones go on, and what is sent on either is no error")
    func ignoredStreams() async throws {
        try await withServer { server in
            let raw = try RawSocket(to: server.address)
            try raw.send(Frame.preface + Frame.settings() + Frame.headers(stream: 1, "/test.Echo/Echo"))
            while await server.server.openCalls == 0 { await Task.yield() }
            let drained = Task { await server.server.drain(graceMilliseconds: 60_000) }
            try raw.readUntil { Frame.goAways(in: $0).count == 1 }
            try raw.send(Frame.pingAnswer(to: 1))
            try raw.readUntil { Frame.goAways(in: $0).count == 1 }
            for stream: UInt32 in [3, 5, 7] {
                try raw.send(Frame.headers(stream: stream, "/test.Echo/Echo") + Frame.data(stream: stream, [0, 0, 0]))
            }
            // Of one that was ignored before, out of order.
            try raw.send(Frame.data(stream: 3, [0, 0], end: true))
            let message: [UInt8] = [0, 0, 0, 0, 3, 0x0a, 1, 7]
            try raw.send(Frame.data(stream: 1, message, end: true))
            let answer = raw.readToEnd()
            #expect(Frame.goAways(in: answer).isEmpty)
            #expect(Frame.all(in: answer).contains { $0.type == 0 && $0.stream == 1 && $0.payload == message })
            #expect(await server.server.callsBegun == 1)
            await drained.value
        }
    }

    @Test("A call that is over and that nobody reads does not hold a drain")
    func unread() async throws {
        var limits = Limits()
        limits.http2.drainUnreadMilliseconds = 30
        limits.http2.drainLingerMilliseconds = 30
        try await withServer(limits: limits) { server in
            let raw = try RawSocket(to: server.address)
            // No window: neither the answer nor the trailers behind it can leave.
            try raw.send(
                Frame.preface + Frame.settings([(4, 0)]) + Frame.headers(stream: 1, "/test.Echo/Bytes")
                    + Frame.data(stream: 1, [0, 0, 0, 0, 3, 0x0a, 1, 7], end: true))
            while await server.server.callsBegun == 0 { await Task.yield() }
            while await server.server.openCalls > 0 { await Task.yield() }
            let drained = Task { await server.server.drain(graceMilliseconds: 3_600_000) }
            let answer = raw.readToEnd()
            await drained.value
            let frames = Frame.all(in: answer).filter { $0.stream == 1 }
            #expect(frames.compactMap(\.resetCode) == [.cancel])
            #expect(!frames.contains { $0.flags & 1 != 0 })
            #expect(await server.server.limitsMet == ["drainUnreadMilliseconds": 1])
        }
    }
}
