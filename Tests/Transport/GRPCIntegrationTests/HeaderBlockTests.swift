import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import SwiftProtobuf
import Testing

/// Metadata that is too long, or no metadata, ends its own call with words, and nothing else.
@Suite(.timeLimit(.minutes(1)))
struct HeaderBlockTests {
    /// A request whose answer is what its metadata has for "some", and its fields after those that every request has.
    private static func request(_ stream: UInt32, path: [UInt8]? = nil, _ fields: [UInt8]) -> [UInt8] {
        let head =
            [("method", "POST"), ("scheme", "http")].flatMap { Frame.field(":\($0)", $1) }
            + (path ?? Frame.field(":path", "/test.Echo/Unary"))
            + [(":authority", "test"), ("content-type", "application/grpc"), ("te", "trailers")].flatMap {
                Frame.field($0, $1)
            }
        var rest = (head + fields)[...]
        var bytes: [UInt8] = []
        while true {
            let part = Array(rest.prefix(16_000))
            rest = rest.dropFirst(16_000)
            bytes +=
                bytes.isEmpty
                ? Frame.make(type: 1, flags: rest.isEmpty ? 4 : 0, stream: stream, part)
                : Frame.continuation(stream: stream, part, end: rest.isEmpty)
            if rest.isEmpty { break }
        }
        let message: [UInt8] = [0, 0, 0, 0, 10, 0x0a, 8] + Array("metadata".utf8)
        return bytes + Frame.data(stream: stream, message, end: true)
    }

    /// The trailers of a stream, without its leading head if there is one, as the bytes that they are.
    private static func ends(_ answer: [UInt8], _ streams: [UInt32]) -> Bool {
        streams.allSatisfy { stream in
            Frame.all(in: answer).contains {
                $0.stream == stream && ($0.type == 3 || $0.type == 1 && $0.flags & 1 != 0)
            }
        }
    }

    private static func length(_ count: Int) -> [UInt8] {
        var rest = count - 127
        var bytes: [UInt8] = [127]
        while rest >= 128 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// A field that nghttp2 would not decode, and whether it empties the dynamic table.
    enum Long: CaseIterable {
        case literal, indexed, neverIndexed, huffman, indexedHuffman, name, indexedName, path, plainPath

        var isPath: Bool { self == .path || self == .plainPath }

        var emptiesTable: Bool { [.indexed, .indexedHuffman, .indexedName, .path, .plainPath].contains(self) }

        var field: [UInt8] {
            let text = [UInt8](repeating: UInt8(ascii: "y"), count: 65_537)
            // The letter "a" is the five bits 00011: eight of them are five bytes.
            let code = (0..<14_000).flatMap { _ in [0x18, 0xc6, 0x31, 0x8c, 0x63] as [UInt8] }
            let huffman = [255] + HeaderBlockTests.length(code.count).dropFirst() + code
            let long = HeaderBlockTests.length(text.count) + text
            return switch self {
            case .literal:
                [0x00, 1, UInt8(ascii: "x")] + HeaderBlockTests.length(2 * text.count - 5_000) + text
                    + text.dropLast(5_000)
            case .indexed: [0x40, 1, UInt8(ascii: "x")] + long
            case .neverIndexed: [0x10, 1, UInt8(ascii: "x")] + long
            case .huffman: [0x00, 1, UInt8(ascii: "x")] + huffman
            case .indexedHuffman: [0x40, 1, UInt8(ascii: "x")] + huffman
            case .name: [0x00] + long + [1, UInt8(ascii: "v")]
            case .indexedName: [0x40] + huffman + [1, UInt8(ascii: "v")]
            case .path: [0x44] + huffman
            case .plainPath: [0x40, 5] + Array(":path".utf8) + long
            }
        }
    }

    @Test("A field above 64 KiB ends its call RESOURCE_EXHAUSTED, and the table stays as the client knows it")
    func longFields() async throws {
        for long in Long.allCases {
            try await withServer { server in
                let raw = try RawSocket(to: server.address)
                // One entry before the long field and one behind it, to both of which requests refer afterwards.
                let older = Frame.field("some", "older", indexed: true)
                let younger = Frame.field("some", "younger", indexed: true)
                let first =
                    long.isPath
                    ? Self.request(1, path: long.field, younger)
                    : Self.request(1, older + long.field + younger)
                try raw.send(Frame.preface + Frame.settings() + first + Self.request(3, [0x80 | 62]))
                var answer: [UInt8] = []
                try raw.readUntil { bytes in
                    answer = bytes
                    return Self.ends(bytes, [1, 3])
                }
                // Where the table was emptied, number 63 is nobody's, and the block cannot be decoded.
                try raw.send(Self.request(5, [0x80 | 63]))
                let before = answer
                let emptiesTable = long.emptiesTable
                try raw.readUntil { bytes in
                    answer = before + bytes
                    return emptiesTable ? !Frame.goAways(in: bytes).isEmpty : Self.ends(bytes, [5])
                }
                let frames = Frame.all(in: answer)
                // One that is answered before it has ended may stop.
                let resets = frames.filter { $0.stream == 1 }.compactMap(\.resetCode)
                #expect(resets == (long.isPath ? [.noError] : []), "\(long)")
                let ends = frames.filter { $0.stream == 1 && $0.type == 1 && $0.flags & 1 != 0 }
                #expect(ends.count == 1, "\(long)")
                func body(_ stream: UInt32) -> String {
                    let bytes = frames.filter { $0.stream == stream && $0.type == 0 }.flatMap(\.payload)
                    return String(decoding: bytes.dropFirst(7), as: UTF8.self)
                }
                #expect(body(1) == "", "\(long)")
                #expect(body(3) == "younger", "\(long)")
                #expect(body(5) == (emptiesTable ? "" : "older"), "\(long)")
                let codes = Frame.goAways(in: answer).map(\.code)
                #expect(codes == (emptiesTable ? [.compressionError] : []), "\(long)")
                #expect(await server.server.limitsMet == ["headerListBytesMax": 1], "\(long)")
            }
        }
    }

    @Test("What a client reads of it names the limit, and its connection goes on")
    func longValue() async throws {
        try await withServer { server in
            let client = try await RawClient(to: server.address)
            for count in [40_000, 65_000] {
                let field = HTTP2Header("x", String(repeating: "~", count: count))
                let answer = await client.request("/test.Echo/Bytes", fields: [field])
                #expect(answer.field("grpc-status") == "8")
                #expect(answer.field("grpc-message")?.contains("headerListBytesMax") == true)
            }
            let body = try Gzipped.framed(Bytes(Data([1])), compressed: false)
            #expect(await client.request("/test.Echo/Bytes", body: body).body == body)
            await client.close()
        }
    }

    @Test("A header block above its limit ends the connection by name, also when its length says so first")
    func longBlocks() async throws {
        for field in [
            [0x00, 1, 0x78] + Self.length(140_000) + [UInt8](repeating: 1, count: 140_000),
            [0x00, 1, 0x78] + Self.length(3_000_000) + [UInt8](repeating: 1, count: 1_000),
        ] {
            try await withServer { server in
                let raw = try RawSocket(to: server.address)
                try? raw.send(Frame.preface + Frame.settings() + Self.request(1, field))
                let goAways = Frame.goAways(in: raw.readToEnd())
                #expect(goAways.map(\.code) == [.enhanceYourCalm])
                #expect(goAways.first?.debugData.hasPrefix("headerBlockBytesMax") == true)
            }
        }
    }

    @Test("A request that is no HTTP costs its stream, and not its connection once there was time for it")
    func malformedRequests() async throws {
        var limits = Limits()
        limits.http2.headersMilliseconds = 50
        try await withServer(limits: limits) { server in
            let raw = try RawSocket(to: server.address)
            // The first one's deadline comes well after that time; the second one's path comes too late in it.
            let first = Self.request(1, Frame.field("grpc-timeout", "300m")).dropLast(9 + 15)
            let second = Self.request(3, path: Frame.field("some", "x") + Frame.field(":path", "/test.Echo/Unary"), [])
            try raw.send(Frame.preface + Frame.settings() + first + second)
            var answer: [UInt8] = []
            try raw.readUntil { bytes in
                answer = bytes
                return Self.ends(bytes, [1])
            }
            #expect(Frame.goAways(in: answer).isEmpty)
            #expect(Frame.all(in: answer).filter { $0.stream == 3 }.compactMap(\.resetCode) == [.protocolError])
        }
    }

    @Test("Blanks at the ends of a value are stripped")
    func blanks() async throws {
        try await withServer { server in
            let client = try await RawClient(to: server.address)
            let message: [UInt8] = [0, 0, 0, 0, 10, 0x0a, 8] + Array("metadata".utf8)
            for value in ["older", " older", "older ", " \t older\t  "] {
                let answer = await client.request(
                    "/test.Echo/Unary", fields: [HTTP2Header("some", value)], body: message)
                #expect(String(decoding: answer.body.dropFirst(7), as: UTF8.self) == "older")
                #expect(answer.field("grpc-status") == "0")
            }
            let blank = await client.request("/test.Echo/Unary", fields: [HTTP2Header("some", "  ")], body: message)
            #expect(blank.field("grpc-status") == "0")
            await client.close()
        }
    }

    @Test("A field that HTTP does not allow ends its call with words, and not its stream without any")
    func invalidFields() async throws {
        try await withServer { server in
            let client = try await RawClient(to: server.address)
            for (name, value) in [
                ("a key", "x"), ("a\u{e9}", "x"), ("some", "a\u{1}b"), ("some", "a\r\nb"), ("some", "\0"),
            ] {
                let answer = await client.request("/test.Echo/Unary", fields: [HTTP2Header(name, value)])
                #expect(answer.field("grpc-status") == "13", "\(name)")
                #expect(answer.field("grpc-message")?.contains("'") == true)
            }
            await client.close()
        }
    }
}
