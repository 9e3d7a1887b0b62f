import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// What keeps a connection alive, and what ends it although nothing is wrong.
@Suite(.timeLimit(.minutes(1)))
struct KeepaliveTests {
    private static let hang = Frame.preface + Frame.settings() + Frame.headers(stream: 1, "/test.Echo/Hang")

    /// What the server says to these bytes until it closes.
    private func answer(to bytes: [UInt8], limits: Limits = Limits()) async throws -> [UInt8] {
        var answer: [UInt8] = []
        try await withServer(limits: limits) { server in
            let address = server.address
            answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                try socket.send(bytes)
                return socket.readToEnd()
            }.value
            #expect(await server.server.openCalls == 0)
        }
        return answer
    }

    @Test("A client that pings too often is told so in the words that its library knows")
    func tooManyPings() async throws {
        let answer = try await answer(to: Self.hang + (0..<4).flatMap { _ in Frame.ping() })
        #expect(Frame.goAways(in: answer) == [GoAway(code: .enhanceYourCalm, debugData: "too_many_pings")])
    }

    @Test("A client that does not answer a ping of the server's is gone, and its calls with it")
    func deadClient() async throws {
        var limits = Limits()
        limits.http2.keepaliveMilliseconds = 20
        limits.http2.keepaliveTimeoutMilliseconds = 20
        let answer = try await answer(to: Self.hang, limits: limits)
        #expect(Frame.types(in: answer).contains(6))
        #expect(Frame.goAways(in: answer).isEmpty)
    }

    @Test("One that answers stays, however long it says nothing else")
    func quietClient() async throws {
        var limits = Limits()
        limits.http2.keepaliveMilliseconds = 10
        limits.http2.keepaliveTimeoutMilliseconds = 10_000
        try await withServer(limits: limits) { server in
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            let before = await client.bytesReceived
            // A PING has 17 bytes.
            while await client.bytesReceived < before + 20 * 17 { await Task.yield() }
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            await client.close()
        }
    }

    @Test("A client that asks for it finds out that its server says nothing any more")
    func deadServer() async throws {
        let listening = try Socket.listen(on: .internet(host: "127.0.0.1", port: 0))
        let address = listening.address
        let listener = listening.take { descriptor, _ in descriptor }
        var limits = Limits.client
        limits.http2.keepaliveMilliseconds = 20
        limits.http2.keepaliveTimeoutMilliseconds = 20
        async let connecting = Client.connect(to: address, limits: limits)
        var accepted = try Socket.accept(listener)
        while accepted == nil {
            await Task.yield()
            accepted = try Socket.accept(listener)
        }
        guard let socket = accepted.take() else { return }
        _ = try Frame.settings().withUnsafeBytes { try Socket.send(socket.raw, $0) }
        let client = try await connecting
        let error = await #expect(throws: Status.self) {
            let _: Text = try await client.unary("/test.Echo/Unary", Text("x"))
        }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("did not answer a PING within 20 ms") == true)
    }

    @Test("A client hears why a server ended its connection")
    func reason() async throws {
        var limits = Limits()
        limits.http2.pingStrikesMax = 0
        var eager = Limits.client
        eager.http2.keepaliveMilliseconds = 5
        try await withServer(limits: limits) { server in
            let client = try await server.connect(limits: eager)
            let error = await #expect(throws: Status.self) {
                let _: Text = try await client.unary("/test.Echo/Hang", Text("x"))
            }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("too_many_pings") == true)
        }
    }

    @Test("A connection that is old enough takes no new calls, and lets those that are open end")
    func age() async throws {
        var limits = Limits()
        limits.http2.ageMilliseconds = 100
        try await withServer(limits: limits) { server in
            let (client, call) = try await Self.connectWithCall(server)
            var answers = call.responses.makeAsyncIterator()
            while await client.isOpen { await Task.yield() }
            // A new call goes to a connection of its own.
            let accepted = await server.server.connectionsAccepted
            let answer: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(answer.value == "x")
            #expect(await server.server.connectionsAccepted == accepted + 1)
            for number: UInt8 in 1...3 {
                try await call.send(Bytes(Data([number])))
                #expect(try await answers.next() == Bytes(Data([number])))
            }
            await call.endSending()
            #expect(try await answers.next() == nil)
            while await server.server.openConnections > 0 { await Task.yield() }
        }
    }

    /// A client with a call that the server has. A busy machine may take so long to begin one that the connection has
    /// reached its age.
    private static func connectWithCall(
        _ server: TestServer
    ) async throws -> (Client, BidirectionalCall<Bytes, Bytes>) {
        while true {
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            while await server.server.openCalls == 0, await client.isOpen { await Task.yield() }
            if await server.server.openCalls > 0 { return (client, call) }
            await client.close()
        }
    }

    @Test("Its last calls end UNAVAILABLE when the grace is over")
    func ageGrace() async throws {
        var limits = Limits()
        limits.http2.ageMilliseconds = 20
        limits.http2.ageGraceMilliseconds = 20
        try await withServer(limits: limits) { server in
            let client = try await server.connect()
            let error = await #expect(throws: Status.self) {
                let _: Text = try await client.unary("/test.Echo/Hang", Text("x"))
            }
            #expect(error?.code == .unavailable)
            while await server.server.openConnections > 0 { await Task.yield() }
            #expect(await server.server.openCalls == 0)
        }
    }
}
