internal import BackendDriver
internal import BackendIPC
internal import InferenceMessages
internal import SwiftProtobuf

// Sequences and their credit.
extension ContractCheck {
    static let sequenceChecks = [
        ContractCheck(
            name: "credit to the token",
            clauses: [.unknownFields, .runningSequence, .noEmptyRun, .credit, .textLength, .pongCounts]
        ) { session in
            try session.loadForCompletions()
            let before = try session.ping()
            try session.driver.start(0, try session.request(tokens: 1_000), credit: 0)
            _ = try session.ping()
            let idle = try session.ping()
            guard idle.tokens == before.tokens else {
                throw Broken(.credit, "Pong.tokens rose by \(idle.tokens - before.tokens) without credit")
            }
            var granted: UInt32 = 0
            for more in [1, 3, 12] as [UInt32] {
                try session.grant(more, to: 0)
                granted += more
                guard try session.awaitTokens(Int(granted), of: 0) else { break }
                // Whatever was computed beyond the credit would come before the second answer.
                try session.ping()
                try session.ping()
            }
            try session.cancel(0)
            let tokens = try session.answer(0).tokens.count
            session.keep(.credit, seen: "\(tokens) tokens for a credit of \(granted), in three parts")
            session.keep(.noEmptyRun, .textLength, seen: "in \(tokens) tokens")
        },
        ContractCheck(name: "interleaved sequences", clauses: [.runningSequence, .oneFinish, .credit, .cancelled]) {
            session in
            try session.loadForCompletions()
            let all = 0..<min(session.sequences, 4)
            for sequence in all {
                try session.driver.start(
                    sequence, try session.request(tokens: 1_000) { $0.sampling.seed = UInt64(sequence) },
                    credit: 2 + sequence)
            }
            for sequence in all { _ = try session.awaitTokens(2 + Int(sequence), of: sequence) }
            try session.cancel(0)
            _ = try session.answer(0)
            for sequence in all.dropFirst() {
                try session.grant(3, to: sequence)
                _ = try session.awaitTokens(5 + Int(sequence), of: sequence)
            }
            // The number is free again.
            _ = try session.complete(session.request(tokens: 3))
            // The others run on without credit when the socket is closed.
            session.keep(.runningSequence, seen: "of \(all.count) sequences at once")
        },
        ContractCheck(
            name: "longest completion",
            clauses: [
                .maxTokens, .context, .length, .finishReason, .counts, .oneFinish, .cancelled, .textLength, .fault,
            ]
        ) { session in
            try session.loadForCompletions()
            for most in [5, 1] as [UInt32] {
                // Of a field that stands twice the later value wins.
                let doubled: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.stopping.maxTokens = 50 }
                    .serializedBytes()
                let completion = try session.complete(doubled + session.request(tokens: most))
                session.keep(.maxTokens, seen: "\(completion.tokens.count) tokens of at most \(most)")
                if completion.reason == .length { session.keep(.length, seen: "at stopping.max_tokens") }
            }
        },
        ContractCheck(name: "a short context", clauses: [.loadedBounds, .context, .length, .fault]) { session in
            let tokens: UInt32 = 64
            try session.loadForCompletions {
                $0.contextTokens = tokens
                $0.maxSequences = 1
            }
            session.expect(.oneFinish, "in a context of \(tokens) tokens")
            let completion = try session.complete(try session.request { $0.stopping.ignoreEndOfTurn = true })
            session.keep(
                .context,
                seen:
                    "\(completion.finish?.promptTokens ?? 0) tokens of the prompt and \(completion.tokens.count) more,"
                    + " of \(tokens)")
            if completion.reason == .length { session.keep(.length, seen: "at the end of the context") }
            // Some tokens for every word, in any vocabulary.
            let words = (0..<1_000).map { "word \($0)" }.joined(separator: " ")
            try session.driver.start(0, try session.request(tokens: 4) { $0.text = words }, credit: 4)
            if try session.end(0).fault == nil {
                session.leaveOut(.fault, because: "it failed no request, not even one that is longer than its context")
            }
        },
        ContractCheck(name: "what only capabilities send", clauses: [.reasoning, .logprobs, .toolCalls]) { session in
            try session.loadForCompletions()
            let conversation = session.driver.conversation
            _ = try session.complete(session.request(tokens: 4))
            session.keep(.logprobs, .toolCalls, seen: "none came")
            if conversation.isCapable(of: Hello.reasoning) {
                session.leaveOut(.reasoning, because: "Hello names \"reasoning\"")
            } else {
                session.keep(.reasoning, seen: "none came")
            }
            if conversation.isCapable(of: Hello.logprobs) {
                let told = try session.complete(try session.request(tokens: 4) { $0.output.logprobs = 2 })
                session.keep(.logprobs, seen: "an entry for each of \(told.tokens.count) tokens, and none unasked")
            }
            guard conversation.isCapable(of: Hello.tools) else { return }
            let asked = try session.request {
                $0.messages.messages = [.with { ($0.role, $0.content) = (.user, "Look up the weather.") }]
                $0.tools.tools = [.with { ($0.name, $0.parameters) = ("weather", #"{"type":"object"}"#) }]
                $0.stopping.maxTokens = 64
            }
            try session.driver.start(0, asked, credit: 1_000)
            let called = try session.end(0)
            session.keep(
                .toolCalls,
                seen: called.toolCallBytes.isEmpty
                    ? "none came" : "\(called.toolCallBytes.count) bytes of calls, and none unasked")
        },
        ContractCheck(name: "cache scopes", clauses: [.cacheScope]) { session in
            try session.loadForCompletions()
            guard session.revision >= 2 else { throw Untried("its revision has no scopes") }
            // Long enough to be worth keeping.
            let prompt = String(repeating: session.candidate.prompt + " ", count: 10)
            let asked = try session.request(tokens: 4) { $0.text = prompt }
            func cached(_ scope: String) throws -> UInt32 {
                try session.complete(asked, scope: Array(scope.utf8)).finish?.cachedPromptTokens ?? 0
            }
            var own: UInt32 = 0
            for (scope, mayBeCached) in [
                ("one", false), ("one", true), ("other", false), ("", false), ("", false),
            ] {
                let count = try cached(scope)
                if mayBeCached { own = count }
                guard count == 0 || mayBeCached else {
                    let name = scope.isEmpty ? "no scope" : "a scope that had not had that prompt"
                    throw Broken(.cacheScope, "\(count) cached prompt tokens for \(name)")
                }
            }
            session.keep(
                .cacheScope,
                seen: own == 0 ? "it counted no cached tokens at all" : "\(own) cached tokens, only within their scope")
        },
    ]
}
