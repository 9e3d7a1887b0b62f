import GRPC
import HTTP2Connection
import Testing

/// Rules of RFC 9113 that nghttp2 leaves to its user, or keeps only at a price, over a real connection.
@Suite(.timeLimit(.minutes(1)))
struct StreamRuleTests {
    private static let begin = Frame.preface + Frame.settings()
    private static let streamClosed = HTTP2ErrorCode.streamClosed.rawValue
    private static let protocolError = HTTP2ErrorCode.protocolError.rawValue

    /// What the server says to these bytes until it closes.
    private func answer(to bytes: [UInt8]) async throws -> [UInt8] {
        var answer: [UInt8] = []
        try await withServer { server in
            let address = server.address
            answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                try socket.send(bytes)
                return socket.readToEnd()
            }.value
        }
        return answer
    }

    @Test("A stream that the client has ended or reset takes no more of it")
    func endedStreams() async throws {
        let call = Frame.headers(stream: 1, "/test.Echo/Hang")
        for bytes in [
            call + Frame.data(stream: 1, end: true) + Frame.data(stream: 1, [0]),
            call + Frame.data(stream: 1, end: true) + Frame.headers(stream: 1, "/test.Echo/Hang"),
            call + Frame.reset(stream: 1) + Frame.data(stream: 1, [0]),
            call + Frame.reset(stream: 1) + Frame.headers(stream: 1, "/test.Echo/Hang"),
        ] {
            #expect(Frame.goAwayCodes(in: try await answer(to: Self.begin + bytes)) == [Self.streamClosed])
        }
    }

    @Test("Streams are begun in the order of their numbers")
    func numbers() async throws {
        let bytes = Frame.headers(stream: 5, "/test.Echo/Hang") + Frame.headers(stream: 3, "/test.Echo/Hang")
        #expect(Frame.goAwayCodes(in: try await answer(to: Self.begin + bytes)) == [Self.protocolError])
    }

    @Test("A frame above SETTINGS_MAX_FRAME_SIZE that holds a header block ends the connection")
    func largeHeaders() async throws {
        let bytes = Frame.make(type: 1, flags: 5, stream: 1, [UInt8](repeating: 0x82, count: (16 << 10) + 1))
        #expect(
            Frame.goAwayCodes(in: try await answer(to: Self.begin + bytes)) == [HTTP2ErrorCode.frameSizeError.rawValue])
    }

    @Test("A request that is not gRPC is answered when its body has ended, and not reset")
    func refusedAfterItsBody() async throws {
        try await withServer { server in
            let client = try await RawClient(to: server.address)
            let body = [UInt8](repeating: 7, count: 600 << 10)
            let answer = await client.request("/", contentType: "application/json", body: body)
            #expect(answer.field(":status") == "415")
            #expect(String(decoding: answer.body, as: UTF8.self).contains("gRPC"))
            guard case .finished = answer.end else {
                Issue.record("the stream ended \(String(describing: answer.end))")
                return
            }
            await client.close()
        }
    }

    @Test("One that does not end its body is answered all the same")
    func refusedWithinItsBody() async throws {
        var limits = Limits()
        limits.refusedBodyMilliseconds = 50
        try await withServer(limits: limits) { server in
            let client = try await RawClient(to: server.address)
            let answer = await client.request("/", contentType: "text/html", body: [1], endsBody: false)
            #expect(answer.field(":status") == "415")
            await client.close()
        }
    }
}
