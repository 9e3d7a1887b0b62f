import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// Who goes when there are more connections than there may be.
@Suite(.timeLimit(.minutes(1)))
struct ConnectionRoomTests {
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
            #expect(Frame.goAwayCodes(in: rest) == [HTTP2ErrorCode.noError.rawValue])
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
            #expect(Frame.goAwayCodes(in: rest) == [HTTP2ErrorCode.noError.rawValue])
            try await call.send(Bytes(Data([2])))
            #expect(try await answers.next() == Bytes(Data([2])))
            await another.close()
            await busy.close()
        }
    }

    @Test("Where callers have names, calls of nobody keep no connection, and a named one's does")
    func namelessCalls() async throws {
        var limits = Limits()
        limits.connectionsMax = 4
        try await withServer(limits: limits, gate: NameGate()) { server in
            let busy = try await server.connect()
            let call = await busy.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            var nameless: [Client] = []
            for count in 2...20 {
                let client = try await server.connect()
                let hanging: MessageStream<Text> = await client.serverStreaming("/test.Echo/Hang", Text("x"))
                _ = hanging
                while await server.server.callsBegun < count { await Task.yield() }
                nameless.append(client)
            }
            #expect(await server.server.connectionsRefused == 0)
            #expect(await server.server.openConnections <= 4)
            try await call.send(Bytes(Data([2])))
            #expect(try await answers.next() == Bytes(Data([2])))
            for client in nameless { await client.close() }
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
}

/// Knows whoever does not hang.
@IOLoop
private final class NameGate: CallGate {
    let namesCallers = true
    private let somebody = Somebody()

    nonisolated init() {}

    private final class Somebody: Caller {
        let id = CallerID.key(sha256: [UInt8](repeating: 7, count: 32))
        nonisolated init() {}
        func callEnded(_ call: ServerCall) {}
    }

    func admit(_ call: ServerCall) throws(Status) -> (any Caller)? { call.path.hasSuffix("/Hang") ? nil : somebody }
}
