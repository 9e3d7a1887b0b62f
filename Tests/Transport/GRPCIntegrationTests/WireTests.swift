import EventLoop
import GRPC
import HTTP2Connection
import LinuxSystem
import Testing

/// What the server does with requests that no gRPC library sends.
@Suite(.timeLimit(.minutes(1)))
struct WireTests {
    private func answer(
        _ path: String, method: String = "POST", contentType: String? = "application/grpc",
        fields: [HTTP2Header] = [], body: [UInt8] = [], endsBody: Bool = true
    ) async throws -> RawClient.Answer {
        var found = RawClient.Answer()
        try await withServer { server in
            let client = try await RawClient(to: server.address)
            found = await client.request(
                path, method: method, contentType: contentType, fields: fields, body: body, endsBody: endsBody)
            #expect(await server.server.openCalls == 0)
            await client.close()
        }
        return found
    }

    @Test("A request that is not gRPC gets 415 and a sentence", arguments: [nil, "text/html", "application/grpcx"])
    func notGRPC(_ contentType: String?) async throws {
        let found = try await answer("/test.Echo/Unary", contentType: contentType)
        #expect(found.field(":status") == "415")
        #expect(String(decoding: found.body, as: UTF8.self).contains("application/grpc"))
    }

    @Test("A GET is refused with 405, which says what is allowed")
    func get() async throws {
        let found = try await answer("/test.Echo/Unary", method: "GET")
        #expect(found.field(":status") == "405")
        #expect(found.field("allow") == "POST")
        #expect(!found.body.isEmpty)
    }

    @Test("The refusal of a HEAD has no body", arguments: [nil, "application/grpc"])
    func head(_ contentType: String?) async throws {
        let found = try await answer("/test.Echo/Unary", method: "HEAD", contentType: contentType)
        #expect(found.field(":status") == (contentType == nil ? "415" : "405"))
        #expect(found.body.isEmpty)
        guard case .finished = found.end else {
            Issue.record("the stream ended with \(String(describing: found.end))")
            return
        }
    }

    @Test("A path that names no method is UNIMPLEMENTED", arguments: ["/", "/test.Echo", "/a/b/c", "//x", "/x/"])
    func paths(_ path: String) async throws {
        #expect(try await answer(path).field("grpc-status") == "12")
    }

    @Test(
        "An encoding that is not supported is UNIMPLEMENTED, with the supported ones",
        arguments: ["snappy", "", "GZIP"])
    func encoding(_ name: String) async throws {
        let found = try await answer("/test.Echo/Unary", fields: [HTTP2Header("grpc-encoding", name)])
        #expect(found.field("grpc-status") == "12")
        #expect(found.field("grpc-accept-encoding") == "identity,gzip")
    }

    @Test("A message that claims to be compressed, or is cut short, is INTERNAL")
    func badMessages() async throws {
        #expect(try await answer("/test.Echo/Unary", body: [1, 0, 0, 0, 0]).field("grpc-status") == "13")
        #expect(try await answer("/test.Echo/Unary", body: [9, 0, 0, 0, 0]).field("grpc-status") == "13")
        #expect(try await answer("/test.Echo/Unary", body: [0, 0, 0, 0, 9, 1]).field("grpc-status") == "13")
        #expect(try await answer("/test.Echo/Unary", body: [0, 0]).field("grpc-status") == "13")
    }

    @Test("A length that lies is refused before its bytes come")
    func lyingLength() async throws {
        let found = try await answer("/test.Echo/Unary", body: [0, 255, 255, 255, 255, 1], endsBody: false)
        #expect(found.field("grpc-status") == "8")
        #expect(
            found.field("grpc-message")
                == "a message has 4294967295 bytes; at most 4194304 are accepted (messageBytesMax)")
    }

    @Test("No request, two requests and a message of another type are INTERNAL")
    func cardinality() async throws {
        #expect(try await answer("/test.Echo/Unary").field("grpc-status") == "13")
        let empty: [UInt8] = [0, 0, 0, 0, 0]
        #expect(try await answer("/test.Echo/Unary", body: empty + empty).field("grpc-status") == "13")
        #expect(try await answer("/test.Echo/Unary", body: [0, 0, 0, 0, 1, 255]).field("grpc-status") == "13")
    }

    @Test("Metadata that is not what it claims to be is INTERNAL; too much of it is RESOURCE_EXHAUSTED")
    func metadata() async throws {
        let bad = try await answer("/test.Echo/Unary", fields: [HTTP2Header("x-bin", "???")])
        #expect(bad.field("grpc-status") == "13")
        let many = (0..<200).map { HTTP2Header("x-\($0)", "y") }
        #expect(try await answer("/test.Echo/Unary", fields: many).field("grpc-status") == "8")
        let long = [HTTP2Header("x", String(repeating: "y", count: 40_000))]
        #expect(try await answer("/test.Echo/Unary", fields: long).field("grpc-status") == "8")
    }

    @Test("A grpc-timeout that is none is INTERNAL", arguments: ["", "5", "S", "123456789S", "-1S", "1x", "1 S"])
    func timeouts(_ text: String) async throws {
        let found = try await answer("/test.Echo/Unary", fields: [HTTP2Header("grpc-timeout", text)])
        #expect(found.field("grpc-status") == "13")
    }

    @Test("The server ends a call at its deadline, whatever the client does")
    func serverDeadline() async throws {
        try await withServer { server in
            let client = try await RawClient(to: server.address)
            let found = await client.request(
                "/test.Echo/Hang", fields: [HTTP2Header("grpc-timeout", "20m")], endsBody: false)
            #expect(found.field("grpc-status") == "4")
            await server.service.log.wait(for: "DEADLINE_EXCEEDED")
            #expect(await server.server.openCalls == 0)
            await client.close()
        }
    }
}
