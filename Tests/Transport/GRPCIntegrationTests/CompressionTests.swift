import EventLoop
import Foundation
import GRPC
import GzipCodec
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// A message as it is on the wire, behind its prefix.
enum Gzipped {
    static func framed(_ message: Bytes, compressed: Bool) throws -> [UInt8] {
        var bytes: [UInt8] = try message.serializedBytes()
        if compressed { bytes = try #require(Gzip.compress(bytes)) }
        return [compressed ? 1 : 0] + withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }
}

/// What is compressed on the wire, and what is not.
@Suite(.timeLimit(.minutes(1)))
struct CompressionTests {
    private static let long = Bytes(Data(repeating: 5, count: 200_000))
    private static let gzip = HTTP2Header("grpc-encoding", "gzip")
    private static let accepts = HTTP2Header("grpc-accept-encoding", "identity, deflate, gzip")

    private func framed(_ message: Bytes, compressed: Bool) throws -> [UInt8] {
        try Gzipped.framed(message, compressed: compressed)
    }

    private func answer(
        _ fields: [HTTP2Header], _ body: [UInt8], of method: String = "Bytes", limits: Limits = Limits()
    ) async throws -> RawClient.Answer {
        var found = RawClient.Answer()
        try await withServer(limits: limits) { server in
            let client = try await RawClient(to: server.address)
            found = await client.request("/test.Echo/\(method)", fields: fields, body: body)
            await client.close()
        }
        return found
    }

    @Test("A client that compresses and accepts gzip gets a long answer compressed, and a short one not")
    func mirrored() async throws {
        let long = try await answer([Self.gzip, Self.accepts], try framed(Self.long, compressed: true))
        #expect(long.field("grpc-status") == "0")
        #expect(long.field("grpc-encoding") == "gzip")
        #expect(long.body.first == 1)
        #expect(long.body.count < 2_000)
        let short = try await answer([Self.gzip, Self.accepts], try framed(Bytes(Data([1])), compressed: true))
        #expect(short.body == (try framed(Bytes(Data([1])), compressed: false)))
    }

    @Test("A client that does not compress, or does not accept gzip, gets nothing compressed")
    func plain() async throws {
        for (fields, compressed) in [([Self.accepts], false), ([], false), ([Self.gzip], true)] {
            let found = try await answer(fields, try framed(Self.long, compressed: compressed))
            #expect(found.field("grpc-status") == "0")
            #expect(found.field("grpc-encoding") == nil)
            #expect(found.body == (try framed(Self.long, compressed: false)))
            #expect(found.field("grpc-accept-encoding") == "identity,gzip")
        }
    }

    @Test("A compressed message without grpc-encoding, or that is no gzip, is INTERNAL")
    func unannounced() async throws {
        let body = try framed(Self.long, compressed: true)
        #expect(try await answer([Self.accepts], body).field("grpc-status") == "13")
        #expect(
            try await answer([HTTP2Header("grpc-encoding", "identity")], body).field("grpc-status") == "13")
        #expect(try await answer([Self.gzip], [1, 0, 0, 0, 2, 3, 4]).field("grpc-status") == "13")
    }

    @Test("A bomb is RESOURCE_EXHAUSTED")
    func bomb() async throws {
        var limits = Limits()
        limits.messageBytesMax = 100_000
        let found = try await answer([Self.gzip], try framed(Self.long, compressed: true), limits: limits)
        #expect(found.field("grpc-status") == "8")
        #expect(found.field("grpc-message")?.contains("100000 bytes") == true)
    }

    @Test("A handler chooses whether answers are compressed, but not for a client that cannot read them")
    func chosen() async throws {
        let gzip = HTTP2Header("answers", "gzip")
        func answer(_ fields: [HTTP2Header], compressed: Bool) async throws -> RawClient.Answer {
            try await self.answer(fields, try framed(Self.long, compressed: compressed), of: "Choose")
        }
        let asked = try await answer([Self.accepts, gzip], compressed: false)
        #expect(asked.field("grpc-encoding") == "gzip")
        #expect(asked.body.first == 1)
        let unasked = try await answer([Self.gzip, Self.accepts], compressed: true)
        #expect(unasked.field("grpc-encoding") == nil)
        #expect(unasked.body == (try framed(Self.long, compressed: false)))
        let unable = try await answer([gzip], compressed: false)
        #expect(unable.field("grpc-encoding") == nil)
        #expect(unable.body == (try framed(Self.long, compressed: false)))
    }

    @Test("Handlers and readers see of each message whether it was compressed")
    func seen() async throws {
        try await withServer { server in
            let client = try await server.connect()
            for compressed in [true, false] {
                let call = await client.bidirectional(
                    "/test.Echo/WasCompressed", requests: Bytes.self, answers: Text.self,
                    options: CallOptions(encoding: .gzip))
                try await call.send(Self.long, compressed: compressed)
                await call.endSending()
                var answers = call.responses.makeAsyncIterator()
                #expect(try await answers.next()?.value == "\(compressed)")
            }
            // One by one as they come, and from the queue after all have come.
            for waits in [false, true] {
                let call = await client.bidirectional(
                    "/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self,
                    options: CallOptions(encoding: .gzip))
                let seen = await client.bidirectional(
                    "/test.Echo/WereCompressed", requests: Bytes.self, answers: Text.self,
                    options: CallOptions(encoding: .gzip))
                var answers = call.responses.makeAsyncIterator()
                var texts = seen.responses.makeAsyncIterator()
                let short = Bytes(Data([1]))
                let messages = [Self.long, short, short, Self.long]
                for message in messages {
                    try await call.send(message)
                    try await seen.send(message)
                    if waits { continue }
                    #expect(try await answers.next() == message)
                    #expect(await call.responses.isMessageCompressed == (message == Self.long))
                    #expect(try await texts.next()?.value == "\(message == Self.long)")
                }
                await call.endSending()
                await seen.endSending()
                if !waits { continue }
                for message in messages {
                    #expect(try await answers.next() == message)
                    #expect(await call.responses.isMessageCompressed == (message == Self.long))
                    #expect(try await texts.next()?.value == "\(message == Self.long)")
                }
            }
            await client.close()
        }
    }

    @Test("Our client and our server compress both ways, message by message")
    func bothWays() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let options = CallOptions(encoding: .gzip)
            let call = await client.bidirectional(
                "/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self, options: options)
            let before = await client.bytesSent
            var answers = call.responses.makeAsyncIterator()
            for compressed in [true, nil, false, true] {
                try await call.send(Self.long, compressed: compressed)
                let answer = try await answers.next()
                #expect(answer == Self.long)
            }
            await call.endSending()
            let end = try await answers.next()
            #expect(end == nil)
            // Three of four were compressed, and all of the answers.
            let sent = await client.bytesSent - before
            #expect((200_000..<300_000).contains(sent))
            let received = await client.bytesReceived
            #expect(received < 100_000)
            await client.close()
        }
    }
}
