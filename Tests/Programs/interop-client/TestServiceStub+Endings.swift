internal import EventLoop
internal import GRPC
internal import InteropMessages

/// The cases of what comes around the messages: metadata, statuses, cancellation, deadlines.
extension TestServiceStub {
    func customMetadata() async throws {
        var options = CallOptions()
        try options.metadata.add("x-grpc-test-echo-initial", "test_initial_metadata_value")
        try options.metadata.add("x-grpc-test-echo-trailing-bin", binary: [0xab, 0xab, 0xab])

        let single = await open("UnaryCall", SimpleRequest.self, SimpleResponse.self, options: options)
        try expectZeros(try await unary(single, largeRequest).payload, 314_159)
        try expectEcho(await single.initialMetadata, await single.trailers)

        let stream = await open("FullDuplexCall", Output.self, OutputAnswer.self, options: options)
        try expectZeros(try await unary(stream, output([314_159], payload: 271_828)).payload, 314_159)
        try expectEcho(await stream.initialMetadata, await stream.trailers)
    }

    private func expectEcho(_ initial: Metadata, _ trailers: Metadata) throws {
        try expect(
            initial["x-grpc-test-echo-initial"] == "test_initial_metadata_value",
            "the initial metadata \(initial.entries)")
        try expect(
            trailers.binary("x-grpc-test-echo-trailing-bin") == [0xab, 0xab, 0xab],
            "the trailing metadata \(trailers.entries)")
    }

    func statusCodeAndMessage() async throws {
        var status = Grpc_Testing_EchoStatus()
        status.code = 2
        status.message = "test status message"
        var request = SimpleRequest()
        request.responseStatus = status
        try await expect(.unknown, status.message) {
            let _: SimpleResponse = try await unary(await open("UnaryCall"), request)
        }
        var streamed = Output()
        streamed.responseStatus = status
        try await expect(.unknown, status.message) {
            let _: OutputAnswer = try await unary(await open("FullDuplexCall"), streamed)
        }
    }

    func specialStatusMessage() async throws {
        var request = SimpleRequest()
        request.responseStatus.code = 2
        request.responseStatus.message =
            "\t\ntest with whitespace\r\nand Unicode BMP \u{263A} and non-BMP \u{1F608}\t\n"
        try await expect(.unknown, request.responseStatus.message) {
            let _: SimpleResponse = try await unary(await open("UnaryCall"), request)
        }
    }

    func unimplemented(_ service: String) async throws {
        try await expect(.unimplemented) {
            let _: Grpc_Testing_Empty = try await client.unary(
                "/\(service)/UnimplementedCall", Grpc_Testing_Empty())
        }
    }

    func cancelAfterBegin() async throws {
        let call = await open("StreamingInputCall", Input.self, InputSummary.self)
        await call.cancel()
        try await expect(.cancelled) { _ = try await all(call) }
    }

    func cancelAfterFirstResponse() async throws {
        let call = await open("FullDuplexCall", Output.self, OutputAnswer.self)
        try await call.send(output([31_415], payload: 27_182))
        var answers = call.responses.makeAsyncIterator()
        guard let answer = try await answers.next() else { throw Unexpected("no answer") }
        try expectZeros(answer.payload, 31_415)
        await call.cancel()
        try await expect(.cancelled) { _ = try await all(call) }
    }

    func timeoutOnSleepingServer() async throws {
        let call = await open(
            "FullDuplexCall", Output.self, OutputAnswer.self, options: CallOptions(timeoutMilliseconds: 1))
        try await expect(.deadlineExceeded) {
            try await call.send(output([], payload: 27_182))
            _ = try await all(call)
        }
    }
}
