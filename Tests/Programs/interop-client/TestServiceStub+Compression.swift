internal import EventLoop
internal import GRPC
internal import InteropMessages

/// The cases of messages that are compressed or not, one by one.
extension TestServiceStub {
    func clientCompressedUnary() async throws {
        var request = largeRequest
        request.expectCompressed.value = true
        // It says that it is compressed, and is not: does the server look?
        try await expect(.invalidArgument) {
            let _: SimpleResponse = try await unary(await open("UnaryCall"), request)
        }
        for compressed in [true, false] {
            request.expectCompressed.value = compressed
            let call = await open("UnaryCall", options: CallOptions(encoding: .gzip)) as UnaryCall
            let answer = try await unary(call, request, compressed: compressed)
            try expectZeros(answer.payload, 314_159)
        }
    }

    func serverCompressedUnary() async throws {
        var request = largeRequest
        for compressed in [true, false] {
            request.responseCompressed.value = compressed
            let call = await open("UnaryCall") as UnaryCall
            let answer = try await unary(call, request)
            try expectZeros(answer.payload, 314_159)
            try expect(await call.responses.isMessageCompressed, is: compressed)
        }
    }

    func clientCompressedStreaming() async throws {
        var request = Input()
        request.payload = zeros(27_182)
        request.expectCompressed.value = true
        try await expect(.invalidArgument) {
            let _: InputSummary = try await unary(await open("StreamingInputCall"), request)
        }
        let call =
            await open("StreamingInputCall", options: CallOptions(encoding: .gzip))
            as BidirectionalCall<Input, InputSummary>
        try await call.send(request, compressed: true)
        request.payload = zeros(45_904)
        request.expectCompressed.value = false
        try await call.send(request, compressed: false)
        await call.endSending()
        let answers = try await all(call)
        try expect(answers.map(\.aggregatedPayloadSize) == [73_086], "the sums \(answers)")
    }

    func serverCompressedStreaming() async throws {
        let expected: [(size: Int32, isCompressed: Bool)] = [(31_415, true), (92_653, false)]
        var request = output(expected.map(\.size))
        for (index, answer) in expected.enumerated() {
            request.responseParameters[index].compressed.value = answer.isCompressed
        }
        let call = await open("StreamingOutputCall", Output.self, OutputAnswer.self)
        try await call.send(request)
        await call.endSending()
        var count = 0
        for try await answer in call.responses {
            try expect(count < expected.count, "more than \(expected.count) answers")
            try expectZeros(answer.payload, Int(expected[count].size))
            try expect(await call.responses.isMessageCompressed, is: expected[count].isCompressed)
            count += 1
        }
        try expect(count == expected.count, "\(count) answers, not \(expected.count)")
    }

    private typealias UnaryCall = BidirectionalCall<SimpleRequest, SimpleResponse>

    private func expect(_ isCompressed: Bool, is expected: Bool) throws {
        try expect(
            isCompressed == expected, "an answer is \(isCompressed ? "" : "not ")compressed, and should be otherwise")
    }
}
