import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// What one connection asks for goes on over many turns of the loop, and loses nothing by it.
@Suite(.timeLimit(.minutes(2)))
struct TurnShareTests {
    /// Limits with which every piece of input is too much for a turn.
    private static var narrow: Limits {
        var limits = Limits()
        limits.http2.stepsPerTurnMax = 1
        return limits
    }

    @Test("Calls are the same however small a connection's share of a turn is", arguments: Path.allCases)
    func calls(path: Path) async throws {
        try await withServer(path, limits: Self.narrow) { server in
            let client = try await server.connect()
            let large = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<50 {
                    group.addTask {
                        let text: Text = try await client.unary("/test.Echo/Unary", Text("text \(index)"))
                        #expect(text.value == "text \(index)")
                        let bytes: Bytes = try await client.unary("/test.Echo/Bytes", Bytes(large))
                        #expect(bytes.value == large)
                    }
                }
                try await group.waitForAll()
            }
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            var answers = call.responses.makeAsyncIterator()
            for index in 0..<200 {
                try await call.send(Bytes(Data([UInt8(index)])))
                #expect(try await answers.next() == Bytes(Data([UInt8(index)])))
            }
            await call.endSending()
            #expect(try await answers.next() == nil)
            await client.close()
        }
    }

    @Test("What came before the peer's end, or in one piece with it, is answered")
    func endOfInput() async throws {
        try await withServer(limits: Self.narrow) { server in
            let address = server.address
            let answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                let message = [UInt8](repeating: 0, count: 5)
                try socket.send(
                    Flood.begin
                        + Flood.many(200) {
                            Frame.headers(stream: $0, "/test.Echo/Missing") + Frame.data(stream: $0, message, end: true)
                        })
                socket.finishSending()
                return socket.readToEnd()
            }.value
            let ended = Frame.all(in: answer).filter { $0.type == 1 && $0.flags & 1 != 0 }.map(\.stream)
            #expect(ended == (0..<200).map { $0 * 2 + 1 })
        }
    }

    @Test("A peer that resets its connection is let go at once, whatever it has sent")
    func lost() async throws {
        try await withServer(limits: Self.narrow) { server in
            let address = server.address
            try await Task.detached {
                for _ in 0..<50 {
                    let socket = try RawSocket(to: address)
                    try socket.send(Flood.begin + Flood.many(500) { Frame.headers(stream: $0, "/test.Echo/Missing") })
                }
            }.value
            let client = try await server.connect()
            let text: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(text.value == "x")
            while await server.server.openConnections > 1 { await Task.yield() }
            await client.close()
        }
    }

    @Test("A server that drains lets calls end that it has received and not yet looked at")
    func drain() async throws {
        try await withServer(limits: Self.narrow) { server in
            let client = try await server.connect()
            async let answers = withThrowingTaskGroup(of: Data.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        let answer: Bytes = try await client.unary("/test.Echo/Bytes", Bytes(Data(count: 100_000)))
                        return answer.value
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1.count }
            }
            while await server.server.callsBegun < 20 { await Task.yield() }
            await server.server.drain(graceMilliseconds: 20_000)
            #expect(try await answers == 2_000_000)
        }
    }

    @Test("Header lists that are too large are strikes: so many are refused, one more ends the connection")
    func refusedHeaderLists() async throws {
        var limits = Limits()
        limits.http2.refusedHeaderListsPerSecondMax = 5
        // One field that is put into the table, and then a thousand references to it: a byte each.
        let first = Frame.field("x", String(repeating: "y", count: 30), indexed: true)
        func list(_ stream: UInt32) -> [UInt8] {
            let block = Frame.headers(stream: stream, "/test.Echo/Hang", more: true)
            let references = (stream == 1 ? first : []) + [UInt8](repeating: 0x80 | 62, count: 1_000)
            return block + Frame.continuation(stream: stream, references, end: true)
        }
        try await withServer(limits: limits) { server in
            let address = server.address
            let answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                try? socket.send(Flood.begin + Flood.many(50, list))
                return socket.readToEnd()
            }.value
            #expect(Frame.all(in: answer).filter { $0.type == 1 }.count == 5)
            let goAway = try #require(Frame.goAways(in: answer).first)
            #expect(goAway.code == .enhanceYourCalm)
            #expect(goAway.debugData.hasPrefix("refusedHeaderListsPerSecondMax: "))
            #expect(await server.server.limitsMet["refusedHeaderListsPerSecondMax"] == 1)
        }
    }

    @Test("A caller that has used up its steps waits, and then goes on where it was")
    func callersWait() async throws {
        var limits = Limits()
        limits.callerStepsAtOnceMax = 500
        limits.callerStepsPerSecondMax = 20_000
        try await withServer(limits: limits) { server in
            let client = try await server.connect()
            for index in 0..<10 {
                let text: Text = try await client.unary("/test.Echo/Unary", Text("\(index)"))
                #expect(text.value == "\(index)")
            }
            #expect(await server.server.limitsMet["callerStepsPerSecondMax"] ?? 0 > 0)
            await client.close()
        }
    }

    @Test("TLS handshakes above their limit wait, and are then as good as any")
    func handshakesWait() async throws {
        var limits = Limits()
        limits.handshakesPerSecondMax = 20
        try await withServer(.tls, limits: limits) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<30 {
                    group.addTask {
                        let client = try await server.connect()
                        let text: Text = try await client.unary("/test.Echo/Unary", Text("x"))
                        #expect(text.value == "x")
                        await client.close()
                    }
                }
                try await group.waitForAll()
            }
            #expect(await server.server.limitsMet["handshakesPerSecondMax"] ?? 0 > 0)
        }
    }
}
