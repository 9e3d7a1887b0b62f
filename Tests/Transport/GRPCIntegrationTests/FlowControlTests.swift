import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

@Suite(.timeLimit(.minutes(2)))
struct FlowControlTests {
    @Test("A thousand streams at once each get all of their messages", arguments: Path.allCases)
    func thousandStreams(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let counters = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<1_000 {
                    group.addTask {
                        var expected: UInt64 = 0
                        let answers: MessageStream<Number> = await client.serverStreaming(
                            "/test.Echo/Count", Number(20))
                        do {
                            for try await answer in answers {
                                guard answer.value == expected else { return false }
                                expected += 1
                            }
                        } catch {
                            Issue.record(error)
                            return false
                        }
                        return expected == 20
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(counters == 1_000)
            #expect(await server.server.callsBegun == 1_000)
            await client.close()
        }
    }

    @Test("A client that stops reading bounds what the server holds, and then misses nothing", arguments: Path.allCases)
    func stoppedReader(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let count: UInt64 = 200_000
            let reader = await StoppedReader.start(client, count: count)
            // The server goes on until its buffer and the windows are full; another call shows that it is not stuck.
            await reader.waitForFirst()
            let other: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(other.value == "x")
            let sent = await server.server.bytesSent
            let window = UInt64(client.limits.http2.streamWindowBytes)
            #expect(sent < window + 100_000, "\(sent) bytes were sent to a client that reads nothing")
            await reader.goOn()
            #expect(await reader.status() == .ok)
            #expect(await reader.next == count)
            await client.close()
        }
    }

    @Test("A server handler that pauses closes the client's window, and then gets everything", arguments: Path.allCases)
    func pausedServer(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Paused", requests: Bytes.self, answers: Number.self)
            let sender = Task {
                for _ in 0..<300 { try await call.send(Bytes(.init(repeating: 1, count: 10_000))) }
                await call.endSending()
            }
            await server.service.log.wait(for: "paused")
            let other: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(other.value == "x")
            let received = await server.server.bytesReceived
            let window = UInt64(HTTP2Limits().streamWindowBytes)
            #expect(received < window + 100_000, "\(received) bytes were taken from a client that nobody reads")
            await server.service.log.resumeAll()
            try await sender.value
            var answers = call.responses.makeAsyncIterator()
            // Each message has its field's tag and length besides its bytes.
            #expect(try await answers.next()?.value == 300 * 10_003)
            #expect(try await answers.next() == nil)
            await client.close()
        }
    }

    @Test("A flood of a million messages arrives whole and in order", arguments: Path.allCases)
    func flood(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let reader = await StoppedReader.start(client, count: 1_000_000)
            await reader.waitForFirst()
            await reader.goOn()
            #expect(await reader.status() == .ok)
            #expect(await reader.next == 1_000_000)
            await client.close()
        }
    }

    @Test("A peer that opens its windows all at once, and does not read, is sent a part of what waits")
    func windowsAtOnce() async throws {
        var limits = Limits()
        limits.http2.unsentBytesMax = 32 << 10
        // Its buffer is as small as the kernel's setting, and does not grow.
        try await withServer(.unix, limits: limits) { server in
            let raw = try RawSocket(to: server.address)
            let streams = 60
            let request: [UInt8] = [0, 0, 0, 0, 6, 0x08, 0xff, 0xff, 0xff, 0xff, 0x07]
            try raw.send(Frame.preface + Frame.settings([(4, 0)]))
            for stream in 0..<UInt32(streams) {
                try raw.send(
                    Frame.headers(stream: 2 * stream + 1, "/test.Echo/Flood")
                        + Frame.data(stream: 2 * stream + 1, request, end: true))
            }
            let waiting = streams * limits.http2.streamBufferHighBytes
            while await server.server.heldBytes < waiting { await Task.yield() }
            try raw.send(Frame.settings([(4, 0x7fff_ffff)]) + Frame.windowUpdate(stream: 0, 0x7fff_0000))
            // The sources go on until their streams are full again, behind what is on its way to the socket.
            while await server.server.bytesSent < 100_000 { await Task.yield() }
            while await server.server.heldBytes < waiting { await Task.yield() }
            let held = await server.server.heldBytes
            // 4 KiB and twice a header list of less than 512 bytes for each, a message above its mark, and one frame.
            #expect(held < waiting + streams * (5 << 10) + (32 << 10) + (17 << 10), "\(held - waiting) bytes more")
            raw.close()
        }
    }

    @Test("What is held is nothing when all streams have ended, however they did")
    func heldBytes() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let answer: Text = try await client.unary("/test.Echo/Unary", Text(String(repeating: "x", count: 300_000)))
            #expect(answer.value.count == 300_000)
            let reader = await StoppedReader.start(client, count: 200_000)
            await reader.waitForFirst()
            #expect(await server.server.heldBytes > 64 << 10)
            let refused = await #expect(throws: Status.self) {
                let _: Text = try await client.unary("/test.None/None", Text("x"))
            }
            #expect(refused?.code == .unimplemented)
            await reader.cancel()
            while await server.server.openCalls > 0 { await Task.yield() }
            while await server.server.heldBytes != 0 { await Task.yield() }
            #expect(await server.server.openConnections == 1)
            await client.close()
        }
    }

    @Test("A connection that drains lets its calls end, and then closes")
    func drain() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            try await call.send(Bytes(Data([1])))
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next() == Bytes(Data([1])))
            let drained = Task { await server.server.drain(graceMilliseconds: 60_000) }
            while await client.isOpen { await Task.yield() }
            try await call.send(Bytes(Data([2])))
            #expect(try await answers.next() == Bytes(Data([2])))
            await call.endSending()
            #expect(try await answers.next() == nil)
            await drained.value
            #expect(await server.server.openConnections == 0)
        }
    }

    @Test("After GOAWAY and the last stream's end a server leaves it to the client to close")
    func lingers() async throws {
        var limits = Limits()
        limits.http2.drainLingerMilliseconds = 60_000
        try await withServer(limits: limits) { server in
            let raw = try RawSocket(to: server.address)
            try raw.send(Frame.preface + Frame.settings() + Frame.headers(stream: 1, "/test.Echo/Hang"))
            await server.service.log.wait(for: "began")
            let drained = Task { await server.server.drain(graceMilliseconds: 60_000) }
            try raw.readUntil { Frame.goAwayCodes(in: $0).count == 1 }
            // The answer to the notice's PING, and with it the last GOAWAY; then the stream's end.
            try raw.send(Frame.pingAnswer(to: 1))
            try raw.readUntil { Frame.goAwayCodes(in: $0).count == 1 }
            try raw.send(Frame.reset(stream: 1))
            await server.service.log.wait(for: "CANCELLED")
            // One that had closed would not hear this.
            let heard = await server.server.bytesReceived
            try raw.send(Frame.ping())
            let deadline = Monotonic.now().advanced(milliseconds: 20_000)
            while await server.server.bytesReceived == heard, Monotonic.now() < deadline { await Task.yield() }
            #expect(await server.server.bytesReceived == heard + 17)
            raw.close()
            await drained.value
        }
    }

    @Test("A drain that takes too long ends its calls UNAVAILABLE")
    func drainGrace() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let answers: MessageStream<Text> = await client.serverStreaming("/test.Echo/Hang", Text("x"))
            await server.service.log.wait(for: "began")
            await server.server.drain(graceMilliseconds: 10)
            let error = await #expect(throws: Status.self) { for try await _ in answers {} }
            #expect(error == Status(.unavailable, "the server is shutting down"))
            #expect(await server.server.openConnections == 0)
        }
    }
}

extension CallLog {
    func resumeAll() {
        for handler in handlers { (handler as? PausedHandler)?.resume() }
    }
}

/// Reads one message of a flood, stops until it is told to go on, and checks the numbers.
@IOLoop
final class StoppedReader: ClientCallHandler {
    private(set) var next: UInt64 = 0
    private var call: ClientCall?
    private var end: Status?
    private var firstWaiter: CheckedContinuation<Void, Never>?
    private var endWaiter: CheckedContinuation<Status, Never>?

    static func start(_ client: Client, count: UInt64) -> StoppedReader {
        let reader = StoppedReader()
        let call = client.start("/test.Echo/Flood", handler: reader)
        reader.call = call
        call.send(Number(count))
        call.endSending()
        return reader
    }

    func waitForFirst() async {
        if next > 0 || end != nil { return }
        await withCheckedContinuation { firstWaiter = $0 }
    }

    func cancel() { call?.cancel() }

    func goOn() { call?.resumeReceiving() }

    func status() async -> Status {
        if let end { return end }
        return await withCheckedContinuation { endWaiter = $0 }
    }

    func received(initialMetadata: Metadata) {}

    func received(_ message: UnsafeRawBufferPointer) {
        let number = message.count == 8 ? UInt64(littleEndian: message.loadUnaligned(as: UInt64.self)) : .max
        if number != next { Issue.record("message \(next) is \(number)") }
        next += 1
        if next == 1 {
            call?.pauseReceiving()
            firstWaiter?.resume()
            firstWaiter = nil
        }
    }

    func sendBufferDrained() {}

    func finished(_ status: Status, trailers: Metadata) {
        end = status
        firstWaiter?.resume()
        endWaiter?.resume(returning: status)
    }
}
