import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import TestPlaces
import Testing

/// A client whose server goes and comes back.
@Suite(.timeLimit(.minutes(1)))
struct ReconnectionTests {
    private let folder = TemporaryFolder()
    private var address: SocketAddress { .unix(path: folder.file("s")) }
    private static let waiting = CallOptions(waitForReadyMilliseconds: 50_000)

    private func serve() async throws -> Server {
        let server = await Server(limits: Limits())
        await server.register(EchoService())
        _ = try await server.listen(on: address)
        return server
    }

    private func echo(_ text: String, _ client: Client, _ options: CallOptions = CallOptions()) async throws -> String {
        let answer: Text = try await client.unary("/test.Echo/Unary", Text(text), options: options)
        return answer.value
    }

    @Test(
        "The first call connects; a call fails at once with the reason while nobody listens; one that waits is answered"
    )
    func first() async throws {
        let client = await Client(to: address)
        #expect(await !client.isOpen)
        let error = await #expect(throws: Status.self) { try await echo("nobody", client) }
        #expect(error?.code == .unavailable && error?.message.contains("cannot connect to \(address)") == true)
        async let answer = echo("later", client, Self.waiting)
        let server = try await serve()
        #expect(try await answer == "later")
        await client.close()
        await server.close()
        folder.remove()
    }

    // Long enough for an attempt to fail on a busy machine: the reason is that of the last one.
    @Test("A call waits no longer than it says, or than its deadline, and is told why")
    func bounds() async throws {
        let client = await Client(to: address)
        let bounded = await #expect(throws: Status.self) {
            try await echo("x", client, CallOptions(waitForReadyMilliseconds: 500))
        }
        #expect(bounded?.code == .unavailable && bounded?.message.contains("within 500 ms: cannot connect") == true)
        let late = await #expect(throws: Status.self) {
            try await echo("x", client, CallOptions(timeoutMilliseconds: 500, waitForReadyMilliseconds: 50_000))
        }
        #expect(late?.code == .deadlineExceeded && late?.message.contains("cannot connect") == true)
        await client.close()
        folder.remove()
    }

    @Test("A server that was started again gets the next call; the call that it lost is UNAVAILABLE")
    func restart() async throws {
        let first = try await serve()
        let client = try await Client.connect(to: address)
        let lost = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
        try await lost.send(Bytes(Data([1])))
        var answers = lost.responses.makeAsyncIterator()
        #expect(try await answers.next() == Bytes(Data([1])))
        await first.close()
        let error = await #expect(throws: Status.self) { _ = try await answers.next() }
        #expect(error?.code == .unavailable)
        let second = try await serve()
        #expect(try await echo("again", client, Self.waiting) == "again")
        await client.close()
        let closed = await #expect(throws: Status.self) { try await echo("x", client, Self.waiting) }
        #expect(closed?.code == .unavailable && closed?.message.contains("was closed") == true)
        await second.close()
        folder.remove()
    }

    @Test("After GOAWAY new calls go to the server that listens then, and those that were taken go on where they are")
    func goAway() async throws {
        let first = try await serve()
        let client = try await Client.connect(to: address)
        let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
        try await call.send(Bytes(Data([1])))
        var answers = call.responses.makeAsyncIterator()
        #expect(try await answers.next() == Bytes(Data([1])))
        let drained = Task { await first.drain(graceMilliseconds: 60_000) }
        while await client.isOpen { await Task.yield() }
        let second = try await serve()
        #expect(try await echo("new", client, Self.waiting) == "new")
        #expect(await second.callsBegun == 1)
        try await call.send(Bytes(Data([2])))
        #expect(try await answers.next() == Bytes(Data([2])))
        await call.endSending()
        #expect(try await answers.next() == nil)
        await drained.value
        await client.close()
        await second.close()
        await first.close()
        folder.remove()
    }

    @Test(
        "A call that the server has not taken is begun once more, on a new connection after GOAWAY",
        arguments: ["RST_STREAM", "GOAWAY"])
    func refused(_ way: String) async throws {
        let listening = try Socket.listen(on: address)
        let client = await Client(to: address)
        let answer = Task { try await echo("refused", client, Self.waiting) }
        let raw = try await Self.accept(listening)
        try raw.send(Frame.settings())
        try raw.readUntil { bytes in
            Frame.all(in: Array(bytes.dropFirst(Frame.preface.count))).contains { $0.type == 0 && $0.flags & 1 == 1 }
        }
        try raw.send(way == "GOAWAY" ? Frame.goAway() : Frame.reset(stream: 1, .refusedStream))
        if way == "RST_STREAM" {
            // The same connection gets it again, and only once.
            try raw.readUntil { Frame.all(in: $0).contains { $0.type == 1 && $0.stream == 3 } }
            try raw.send(Frame.reset(stream: 3, .refusedStream))
            let error = await #expect(throws: Status.self) { _ = try await answer.value }
            #expect(error?.code == .unavailable)
        } else {
            _ = consume listening
            let server = try await serve()
            #expect(try await answer.value == "refused")
            #expect(await server.callsBegun == 1)
            await server.close()
        }
        await client.close()
        folder.remove()
    }

    private static func accept(_ listening: borrowing BoundSocket) async throws -> RawSocket {
        while true {
            if let socket = try Socket.accept(listening.descriptor) { return try RawSocket(accepted: socket) }
            await Task.yield()
        }
    }
}
