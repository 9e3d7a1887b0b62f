internal import EventLoop
internal import GRPC
internal import InteropMessages

/// The cases of messages, one and many, small and large.
extension TestServiceStub {
    func emptyUnary() async throws {
        let call = await open("EmptyCall", Grpc_Testing_Empty.self, Grpc_Testing_Empty.self)
        let answer = try await unary(call, Grpc_Testing_Empty())
        try expect(answer == Grpc_Testing_Empty(), "an answer that is not empty")
    }

    func largeUnary() async throws {
        let answer: SimpleResponse = try await unary(await open("UnaryCall"), largeRequest)
        try expectZeros(answer.payload, 314_159)
    }

    func clientStreaming() async throws {
        let call = await open("StreamingInputCall", Input.self, InputSummary.self)
        for size in TestServiceStub.requestSizes {
            var request = Input()
            request.payload = zeros(size)
            try await call.send(request)
        }
        await call.endSending()
        let answers = try await all(call)
        try expect(answers.map(\.aggregatedPayloadSize) == [74_922], "the sums \(answers)")
    }

    func serverStreaming() async throws {
        let call = await open("StreamingOutputCall", Output.self, OutputAnswer.self)
        try await call.send(output(TestServiceStub.answerSizes))
        await call.endSending()
        try expect(try await all(call), TestServiceStub.answerSizes)
    }

    func pingPong() async throws {
        let call = await open("FullDuplexCall", Output.self, OutputAnswer.self)
        var answers = call.responses.makeAsyncIterator()
        for (size, answerSize) in zip(TestServiceStub.requestSizes, TestServiceStub.answerSizes) {
            try await call.send(output([answerSize], payload: size))
            guard let answer = try await answers.next() else { throw Unexpected("no answer of \(answerSize) bytes") }
            try expectZeros(answer.payload, Int(answerSize))
        }
        await call.endSending()
        try expect(try await all(call), [])
    }

    func halfDuplex() async throws {
        let call = await open("HalfDuplexCall", Output.self, OutputAnswer.self)
        for size in TestServiceStub.answerSizes { try await call.send(output([size])) }
        await call.endSending()
        try expect(try await all(call), TestServiceStub.answerSizes)
    }

    func emptyStream() async throws {
        let call = await open("FullDuplexCall", Output.self, OutputAnswer.self)
        await call.endSending()
        try expect(try await all(call), [])
    }

    /// Reads so slowly that the server must wait for its window.
    func slowConsumer() async throws {
        let sizes = [Int32](repeating: 1_030, count: 2_000)
        let call = await open("StreamingOutputCall", Output.self, OutputAnswer.self)
        try await call.send(output(sizes))
        await call.endSending()
        var count = 0
        for try await answer in call.responses {
            try expectZeros(answer.payload, 1_030)
            count += 1
            try await Task.sleep(for: .milliseconds(20))
        }
        try expect(count == sizes.count, "\(count) answers, not \(sizes.count)")
    }

    func pickFirstUnary() async throws {
        var request = SimpleRequest()
        request.fillServerID = true
        var servers: Set<String> = []
        for _ in 0..<100 {
            let answer: SimpleResponse = try await unary(await open("UnaryCall"), request)
            servers.insert(answer.serverID)
        }
        try expect(servers.count == 1, "\(servers.count) servers answered, not one")
    }

    private static let requestSizes = [27_182, 8, 1_828, 45_904]
    private static let answerSizes: [Int32] = [31_415, 9, 2_653, 58_979]

    private func expect(_ answers: [OutputAnswer], _ sizes: [Int32]) throws {
        try expect(answers.count == sizes.count, "\(answers.count) answers, not \(sizes.count)")
        for (answer, size) in zip(answers, sizes) { try expectZeros(answer.payload, Int(size)) }
    }
}
