package import BackendIPC

// Requests of an agent to a backend; each waits for the answer.
extension BackendDriver {
    /// Awaits its `Hello`, and welcomes it.
    package func shakeHands() throws {
        try listen { $0.conversation.phase == .awaitingWelcome }
        try say(.welcome(.inRevision(1)))
    }

    /// Starts a sequence with an encoded `GenerateRequest`, behind tokens that an earlier process has sent.
    package func start(
        _ sequence: UInt32, _ request: [UInt8], credit: UInt32 = 1_000_000, scope: [UInt8] = [],
        behind tokens: [UInt32] = []
    ) throws {
        let continuation = tokens.isEmpty ? nil : Continuation(tokenIDs: tokens)
        try say(
            .start(
                Start(
                    sequence: sequence, credit: credit, request: request, cacheScope: scope,
                    continuation: continuation)))
    }

    /// Waits until a sequence has finished; all that came for it.
    package func finish(_ sequence: UInt32) throws -> Completion {
        try listen { $0.completions[sequence]?.finish != nil }
        return completions[sequence] ?? Completion()
    }

    /// Waits until every one of these sequences has finished.
    package func finish(_ sequences: some Swift.Sequence<UInt32>) throws -> [Completion] {
        try sequences.map { try finish($0) }
    }

    /// Pings, and waits for the answer: the backend has then read every earlier message.
    @discardableResult
    package func ping() throws -> Pong {
        let nonce = UInt64(pongs.count) + 1
        try say(.ping(Ping(nonce: nonce)))
        try listen { $0.pongs.last?.nonce == nonce }
        return pongs[pongs.count - 1]
    }

    /// Asks how many tokens an encoded `GenerateRequest` has.
    package func countTokens(_ request: [UInt8]) throws -> Result<UInt32, Fault> {
        let query = UInt32(counts.count)
        try say(.countTokens(CountTokens(query: query, request: request)))
        try listen { $0.counts.last?.query == query }
        return counts[counts.count - 1].result ?? .failure(Fault(.internal, "no result"))
    }

    /// Asks for the tokens of the prompt of an encoded `GenerateRequest`, as a serialized `hearth.v1.TokenizeResponse`.
    package func tokens(of request: [UInt8]) throws -> Result<[UInt8], Fault> {
        try tokenize(request, wantsText: false)
    }

    /// Asks for the text that the prompt becomes.
    package func text(of request: [UInt8]) throws -> Result<[UInt8], Fault> { try tokenize(request, wantsText: true) }

    /// Asks for the vectors or scores of an encoded request, and waits for the answer.
    package func embed(_ task: Embed.Task, _ request: [UInt8]) throws -> Embedded {
        let query = try beginEmbedding(task, request)
        try listen { $0.embedded.contains { $0.query == query } }
        return embedded.last { $0.query == query } ?? Embedded(query: query, fault: Fault(.internal, "no answer"))
    }

    /// Asks for them; returns the query.
    package func beginEmbedding(_ task: Embed.Task, _ request: [UInt8]) throws -> UInt32 {
        let query = 1_000 + UInt32(embedded.count + conversation.openEmbeds)
        try say(.embed(Embed(query: query, task: task, request: request)))
        return query
    }

    private func tokenize(_ request: [UInt8], wantsText: Bool) throws -> Result<[UInt8], Fault> {
        let query = UInt32(tokenized.count)
        try say(.tokenize(Tokenize(query: query, request: request, wantsText: wantsText)))
        try listen { $0.tokenized.last?.query == query }
        return (tokenized[tokenized.count - 1].result ?? .failure(Fault(.internal, "no result"))).map { content in
            switch content {
            case .tokens(let bytes), .text(let bytes): bytes
            }
        }
    }
}

extension Welcome {
    /// With the agent's longest frame, and a Ping every second.
    package static func inRevision(_ revision: UInt32) -> Welcome {
        Welcome(
            revision: revision, maxFrameBytes: UInt32(ContractLimits.backendFrameBytesMax),
            pingIntervalMilliseconds: 1_000)
    }
}
