import EventLoop
import GRPC
import LinuxSystem
import SwiftProtobuf
import Testing

@Suite(.timeLimit(.minutes(1)))
struct CallTests {
    @Test("A unary call brings the answer over every transport", arguments: Path.allCases)
    func unary(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let answer: Text = try await client.unary("/test.Echo/Unary", Text("hello"))
            #expect(answer.value == "hello")
            await client.close()
        }
    }

    @Test("A server stream brings every message in order and then ends", arguments: Path.allCases)
    func serverStreaming(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let answers: MessageStream<Number> = await client.serverStreaming("/test.Echo/Count", Number(5_000))
            var expected: UInt64 = 0
            for try await answer in answers {
                #expect(answer.value == expected)
                expected += 1
            }
            #expect(expected == 5_000)
            await client.close()
        }
    }

    @Test("A bidirectional call answers each message before the next one is sent", arguments: Path.allCases)
    func bidirectional(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self)
            var answers = call.responses.makeAsyncIterator()
            for index in 0..<100 {
                let sent = Bytes(.init(repeating: UInt8(index), count: index))
                try await call.send(sent)
                #expect(try await answers.next() == sent)
            }
            await call.endSending()
            #expect(try await answers.next() == nil)
            await client.close()
        }
    }

    @Test("A status with a message of any text reaches the client")
    func failure() async throws {
        try await withServer { server in
            let client = try await server.connect()
            await #expect(throws: Status(.notFound, "no such thing: 100 % \u{1F525}\nreally")) {
                let _: Text = try await client.unary("/test.Echo/Unary", Text("fail"))
            }
            await #expect(throws: Status(.unknown, "Unknown()")) {
                let _: Text = try await client.unary("/test.Echo/Unary", Text("crash"))
            }
            await client.close()
        }
    }

    @Test("A method or a service that does not exist is UNIMPLEMENTED and named")
    func unimplemented() async throws {
        try await withServer { server in
            let client = try await server.connect()
            await #expect(throws: Status(.unimplemented, "the service 'test.Echo' has no method 'Nothing'")) {
                let _: Text = try await client.unary("/test.Echo/Nothing", Text("x"))
            }
            await #expect(throws: Status(.unimplemented, "this server has no service 'test.None'")) {
                let _: Text = try await client.unary("/test.None/Unary", Text("x"))
            }
            await client.close()
        }
    }

    @Test("Metadata travels both ways, text and bytes")
    func metadata() async throws {
        try await withServer { server in
            let client = try await server.connect()
            var metadata = Metadata()
            try metadata.add("some", "a value, with a comma")
            try metadata.add("some-bin", binary: [0, 255, 1])
            let call = await client.bidirectional(
                "/test.Echo/Unary", requests: Text.self, answers: Text.self, options: CallOptions(metadata: metadata))
            try await call.send(Text("metadata"))
            await call.endSending()
            var answers = call.responses.makeAsyncIterator()
            #expect(try await answers.next()?.value == "a value, with a comma")
            #expect(try await answers.next() == nil)
            #expect(await call.trailers.binary("seen-bin") == [0, 255, 1])
            await client.close()
        }
    }

    @Test("A message of four mebibytes arrives, and one above is refused with both sizes", arguments: Path.allCases)
    func bigMessages(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let big = Bytes(.init(repeating: 7, count: (4 << 20) - 16))
            let answer: Bytes = try await client.unary("/test.Echo/Bytes", big)
            #expect(answer == big)
            let refusal = await #expect(throws: Status.self) {
                let tooBig = Bytes(.init(repeating: 7, count: 5_000_000))
                let _: Bytes = try await client.unary("/test.Echo/Bytes", tooBig)
            }
            #expect(refusal?.code == .resourceExhausted)
            #expect(refusal?.message == "a message has 5000005 bytes; at most 4194304 are accepted (messageBytesMax)")
            let after: Text = try await client.unary("/test.Echo/Unary", Text("still here"))
            #expect(after.value == "still here")
            await client.close()
        }
    }

    @Test("A deadline ends the call on both sides")
    func deadline() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let answers: MessageStream<Text> = await client.serverStreaming(
                "/test.Echo/Hang", Text("x"), options: CallOptions(timeoutMilliseconds: 50))
            let error = await #expect(throws: Status.self) { for try await _ in answers {} }
            #expect(error?.code == .deadlineExceeded)
            await client.close()
        }
    }

    @Test("A cancelled task cancels the call on the server")
    func cancel() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let task = Task {
                let answers: MessageStream<Text> = await client.serverStreaming("/test.Echo/Hang", Text("x"))
                for try await _ in answers {}
            }
            await server.service.log.wait(for: "began")
            task.cancel()
            await server.service.log.wait(for: "CANCELLED")
            _ = await task.result
            let after: Text = try await client.unary("/test.Echo/Unary", Text("still here"))
            #expect(after.value == "still here")
            await client.close()
        }
    }

    @Test("A connection that dies cancels all its calls", arguments: Path.allCases)
    func connectionLoss(_ path: Path) async throws {
        try await withServer(path) { server in
            let client = try await server.connect()
            let answers: MessageStream<Text> = await client.serverStreaming("/test.Echo/Hang", Text("x"))
            await server.service.log.wait(for: "began")
            await client.close()
            await server.service.log.wait(for: "UNAVAILABLE")
            let error = await #expect(throws: Status.self) { for try await _ in answers {} }
            #expect(error?.code == .unavailable)
            #expect(await server.server.openCalls == 0)
        }
    }

    @Test("A server that ends a call early stops a client that still sends")
    func early() async throws {
        try await withServer { server in
            let client = try await server.connect()
            let call = await client.bidirectional("/test.Echo/Early", requests: Bytes.self, answers: Bytes.self)
            let error = await #expect(throws: Status.self) {
                while true { try await call.send(Bytes(.init(repeating: 1, count: 10_000))) }
            }
            #expect(error == Status(.failedPrecondition, "enough"))
            let after: Text = try await client.unary("/test.Echo/Unary", Text("still here"))
            #expect(after.value == "still here")
            await client.close()
        }
    }
}
