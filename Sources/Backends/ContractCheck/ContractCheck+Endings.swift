internal import BackendDriver
internal import BackendIPC
internal import InferenceMessages

// Endings, signs of life, floods, and the end of the process.
extension ContractCheck {
    static let endingChecks = [
        ContractCheck(name: "stops", clauses: [.stopToken, .stopString]) { session in
            try session.loadForCompletions()
            let free = try session.complete(session.request(tokens: 12))
            guard let last = free.tokens.last else { throw Untried("its completion has no token") }
            let atToken = try session.complete(session.request(tokens: 12) { $0.stopping.stopTokenIds = [last] })
            if let id = atToken.finish?.stopTokenID {
                session.keep(.stopToken, seen: "it ended at the token \(id), as asked")
            } else {
                session.leaveOut(.stopToken, because: "it ended at none, though its tokens had one the first time")
            }
            guard session.driver.conversation.isCapable(of: Hello.stopStrings) else {
                return session.keep(.stopString, seen: "none came, as Hello names no \"stop_strings\"")
            }
            let text = String(free.text.suffix(4))
            guard !text.isEmpty else { throw Untried("its completion has no text") }
            let atText = try session.complete(session.request(tokens: 12) { $0.stopping.stop = [text] })
            if atText.finish?.stop == nil {
                session.leaveOut(.stopString, because: "it ended at none, though its text had one the first time")
            } else {
                session.keep(.stopString, seen: "it ended where it was asked to")
            }
        },
        ContractCheck(name: "cancel within a step", clauses: [.cancelInTime, .cancelled, .oneFinish]) { session in
            try session.loadForCompletions()
            try session.driver.start(0, try session.request(tokens: 100_000), credit: 1_000_000)
            _ = try session.awaitTokens(1, of: 0)
            try session.cancel(0)
            try session.ping()
            let completion = try session.answer(0)
            // Of the batches behind the answer to a Ping behind Cancel, one may end the step that ran, and one brings
            // the finish.
            let late = session.driver.received.reversed().prefix { $0 != "Pong" }.count { $0 == "TokenBatch" }
            guard late <= 2 else {
                throw Broken(.cancelInTime, "it computed \(late - 1) more steps after it had read Cancel")
            }
            guard completion.reason == .cancelled else { throw Untried("it had finished before Cancel came") }
            session.keep(.cancelInTime, seen: "after \(completion.tokens.count) tokens, in the step that ran")
        },
        ContractCheck(name: "signs of life", clauses: [.pongOrder, .pongCounts, .pongInTime, .progress]) { session in
            try session.load()
            session.expect(.pongInTime, "awaiting Pong")
            for nonce in [9, 1, UInt64.max] { try session.driver.say(.ping(Ping(nonce: nonce))) }
            try session.driver.listen { $0.pongs.count == 3 }
            let before = try session.ping()
            guard session.driver.conversation.loaded?.lacking.contains(Hello.generate) != true else {
                throw Untried("its model makes no completions")
            }
            try session.driver.start(0, try session.request(tokens: 16), credit: 16)
            try session.ping()
            let tokens = try session.answer(0).tokens.count
            let after = try session.ping()
            guard after.steps > before.steps || tokens == 0 else {
                throw Broken(.progress, "Pong.steps stands at \(after.steps) although \(tokens) tokens came meanwhile")
            }
            session.keep(.progress, seen: "\(after.steps - before.steps) steps for \(tokens) tokens")
        },
    ]

    /// As much at once as the agent may say.
    static let flood = ContractCheck(name: "a flood of requests", clauses: [.oneFinish, .pongInTime, .pongOrder]) {
        session in
        try session.loadForCompletions()
        let driver = session.driver
        let asked = try session.request(tokens: 2)
        let all = 0..<min(session.sequences, 8)
        let rounds = 4
        for _ in 0..<rounds {
            session.expect(.pongInTime, "in a flood of requests")
            try driver.sayInBytes(.start(Start(sequence: 0, credit: 2, request: asked)))
            var messages: [AgentMessage] = []
            for sequence in all.dropFirst() {
                messages.append(.start(Start(sequence: sequence, credit: 2, request: asked)))
                if sequence % 2 == 1 { messages.append(.cancel(Cancel(sequence: sequence))) }
            }
            for nonce in 0..<500 as Range<UInt64> { messages.append(.ping(Ping(nonce: nonce))) }
            let pongs = driver.pongs.count
            try driver.say(all: messages)
            try driver.listen { $0.pongs.count == pongs + 500 }
            for sequence in all { _ = try session.end(sequence) }
        }
        session.keep(.oneFinish, seen: "\(rounds * all.count) in a flood")
        session.keep(.pongInTime, .pongOrder, seen: "\(driver.pongs.count) in a flood")
    }

    static let shutdown = ContractCheck(name: "shutdown", clauses: [.shutdownInTime]) { session in
        try session.load()
        let grace = session.candidate.graceMilliseconds
        if session.driver.conversation.loaded?.lacking.contains(Hello.generate) != true {
            // It cannot finish.
            try session.driver.start(0, try session.request(tokens: 4), credit: 0)
            try session.ping()
        }
        session.expect(.shutdownInTime, "after Shutdown with a grace of \(grace) ms")
        try session.driver.say(.shutdown(Shutdown(graceMilliseconds: grace)))
        _ = try session.driver.awaitEnd(forMilliseconds: UInt64(grace) + session.candidate.exitMilliseconds)
        session.keep(.shutdownInTime, seen: "its process ended, although a sequence had no credit to finish with")
    }
}
