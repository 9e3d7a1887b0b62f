import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import TLSSession
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ConnectionTests {
    @Test("Connecting where nobody listens is UNAVAILABLE and names the address")
    func refused() async throws {
        let error = await #expect(throws: Status.self) {
            _ = try await Client.connect(to: .unix(path: "/nonexistent/socket"))
        }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("/nonexistent/socket") == true)
    }

    @Test("A server that accepts and says nothing times out")
    func silent() async throws {
        let listening = try Socket.listen(on: .internet(host: "127.0.0.1", port: 0))
        let error = await #expect(throws: Status.self) {
            _ = try await Client.connect(to: listening.address, timeoutMilliseconds: 50)
        }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("50 ms") == true)
    }

    @Test("A certificate that is not the pinned one is refused, with the one that was shown")
    func wrongPin() async throws {
        try await withServer(.tls) { server in
            let other = ClientTLS(trust: .pinned(sha256: .init(repeating: 1, count: 32)))
            let error = await #expect(throws: Status.self) {
                _ = try await Client.connect(to: server.address, security: .tls(other))
            }
            #expect(error?.message.contains("not the pinned one") == true)
        }
    }

    @Test("A self-signed certificate is refused by who trusts authorities, and accepted as its own authority")
    func authorities() async throws {
        try await withServer(.tls) { server in
            let error = await #expect(throws: Status.self) {
                _ = try await Client.connect(to: server.address, security: .tls(ClientTLS(trust: .system)))
            }
            #expect(error?.message.contains("certificate is not accepted") == true)
            let own = ClientTLS(trust: .authorities(file: server.file("certificate.pem")))
            let client = try await Client.connect(to: server.address, security: .tls(own))
            let answer: Text = try await client.unary("/test.Echo/Unary", Text("trusted"))
            #expect(answer.value == "trusted")
            await client.close()
            let misnamed = ClientTLS(
                trust: .authorities(file: server.file("certificate.pem")), serverName: "other.example")
            await #expect(throws: Status.self) {
                _ = try await Client.connect(to: server.address, security: .tls(misnamed))
            }
        }
    }

    @Test("A plaintext client and a TLS server part in words, and the server goes on")
    func plaintextToTLS() async throws {
        try await withServer(.tls) { server in
            await #expect(throws: Status.self) {
                _ = try await Client.connect(to: server.address, security: .plaintext)
            }
            let client = try await server.connect()
            let answer: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(answer.value == "x")
            await client.close()
        }
    }

    @Test("A connection that does not speak HTTP/2 is closed", arguments: Path.allCases)
    func garbage(_ path: Path) async throws {
        try await withServer(path) { server in
            let socket = try Socket.connect(to: server.address)
            let request = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
            _ = try request.withUnsafeBytes { try Socket.send(socket.raw, $0) }
            while await server.server.connectionsAccepted == 0 { await Task.yield() }
            while await server.server.openConnections > 0 { await Task.yield() }
            let client = try await server.connect()
            let answer: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(answer.value == "x")
            await client.close()
        }
    }

    @Test("A peer that is silent from the start is closed after the handshake's time", arguments: Path.allCases)
    func silentPeer(_ path: Path) async throws {
        var limits = Limits()
        limits.http2.handshakeMilliseconds = 20
        try await withServer(path, limits: limits) { server in
            let socket = try Socket.connect(to: server.address)
            while await server.server.connectionsAccepted == 0 { await Task.yield() }
            while await server.server.openConnections > 0 { await Task.yield() }
            _ = consume socket
        }
    }

    @Test("An idle connection is closed, and one with a call is not")
    func idle() async throws {
        var limits = Limits()
        limits.http2.idleMilliseconds = 200
        try await withServer(limits: limits) { server in
            let (busy, call) = try await Self.connectWithCall(server)
            let idle = try await server.connect()
            while await idle.isOpen { await Task.yield() }
            #expect(await busy.isOpen)
            try await call.send(Bytes(Data([2])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            #expect(try await answers.next() == Bytes(Data([2])))
            await busy.close()
        }
    }

    /// A client with a call in progress. A busy machine may take so long to begin one that the connection was idle.
    private static func connectWithCall(
        _ server: TestServer
    ) async throws -> (Client, BidirectionalCall<Bytes, Bytes>) {
        while true {
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            do {
                try await call.send(Bytes(Data([1])))
                while await server.server.openCalls == 0, await client.isOpen { await Task.yield() }
                if await client.isOpen { return (client, call) }
            } catch let status as Status where status.code == .unavailable {
                await client.close()
            }
        }
    }
}
