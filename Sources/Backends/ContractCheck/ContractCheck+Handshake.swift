internal import BackendDriver
internal import BackendIPC

// The handshake, and loading.
extension ContractCheck {
    static let handshakeChecks = [
        ContractCheck(
            name: "handshake and load",
            clauses: [
                .frameLength, .oneBody, .wireFormat, .messageLength, .helloFirst, .helloInTime, .revisions,
                .helloFields, .capabilities, .commonRevision, .messageInTurn, .loadProgress, .loadedBounds,
                .loadedOffer, .loadedInTime, .pongOrder,
            ], isGate: true
        ) { session in
            try session.load()
            try session.ping()
        },
        ContractCheck(name: "refusal", clauses: [.endOfStream]) { session in
            try session.greet()
            // The agent closes the socket then, as the examination does.
            try session.driver.say(.reject(Reject(reason: "this is a check")))
        },
        ContractCheck(name: "the first revision", clauses: [.commonRevision]) { session in
            let hello = try session.greet()
            guard hello.minRevision == 1, hello.maxRevision > 1 else { throw Untried("it speaks one revision only") }
            try session.loadForCompletions(revision: 1)
            _ = try session.complete(session.request(tokens: 4))
            session.keep(.commonRevision, seen: "it serves in the revisions 1 and \(hello.maxRevision)")
        },
        ContractCheck(name: "fields of a later revision", clauses: [.laterFields]) { session in
            let revision = try session.commonRevision()
            session.expect(.laterFields, "after messages with fields that it does not know")
            try session.driver.say(.welcome(.inRevision(revision)), withFields: laterFields)
            try session.driver.say(.load(session.candidate.load), withFields: laterFields)
            try session.driver.listen(forMilliseconds: session.candidate.loadMilliseconds) {
                $0.conversation.phase == .ready
            }
            try session.driver.say(.ping(Ping(nonce: 7)), withFields: laterFields)
            try session.driver.listen { !$0.pongs.isEmpty }
            if session.driver.conversation.loaded?.lacking.contains(Hello.generate) != true {
                let start = Start(
                    sequence: 0, credit: 1, request: try session.request(tokens: 4) + laterFields)
                try session.driver.say(.start(start), withFields: laterFields)
                try session.driver.say(.credit(Credit(sequence: 0, tokens: 3)), withFields: laterFields)
                _ = try session.driver.finish(0)
            }
            session.keep(.laterFields, seen: "it served the same with them")
        },
        ContractCheck(name: "inspection", clauses: [.inspected]) { session in
            let revision = try session.commonRevision()
            guard revision >= 2, session.driver.conversation.isCapable(of: "inspect"),
                session.candidate.load.weightsDescriptor != nil
            else {
                throw Untried("Hello does not name \"inspect\", or there are no weights")
            }
            session.expect(.inspected, "awaiting Inspected")
            try session.driver.say(.welcome(.inRevision(revision)))
            var load = session.candidate.load
            load.inspectOnly = true
            try session.driver.say(.load(load))
            try session.driver.listen { $0.inspected != nil }
            session.keep(.inspected, seen: "\(session.driver.inspected?.memoryBytes ?? 0) bytes of memory")
        },
    ]

    /// Fields that no revision has: a varint, bytes, and both fixed lengths.
    private static let laterFields: [UInt8] =
        [0x80, 0x7d, 1] + [0x8a, 0x7d, 3, 1, 2, 3] + [0x95, 0x7d, 1, 2, 3, 4] + [0x99, 0x7d, 1, 2, 3, 4, 5, 6, 7, 8]
}
