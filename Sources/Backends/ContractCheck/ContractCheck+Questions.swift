internal import BackendDriver
internal import BackendIPC
internal import InferenceMessages
internal import SwiftProtobuf

// Questions about prompts, and vectors.
extension ContractCheck {
    static let questionChecks = [
        ContractCheck(name: "questions about prompts", clauses: [.openQuery, .tokenizedBounds]) { session in
            try session.load()
            let driver = session.driver
            let (counts, tokenizes) = (
                driver.conversation.isCapable(of: Hello.countTokens), driver.conversation.isCapable(of: Hello.tokenize)
            )
            guard counts || tokenizes else {
                // An answer that nobody asked for would have come by now.
                try session.ping()
                throw Untried("Hello names neither \"count_tokens\" nor \"tokenize\"")
            }
            session.expect(.openQuery, "awaiting the answers to several open queries")
            let asked = try session.request()
            var open: UInt32 = 0
            for _ in 0..<4 {
                if counts { try driver.say(.countTokens(CountTokens(query: open, request: asked))) }
                if tokenizes {
                    try driver.say(.tokenize(Tokenize(query: open + 1, request: asked, wantsText: false)))
                    try driver.say(.tokenize(Tokenize(query: open + 2, request: asked, wantsText: true)))
                }
                open += 3
            }
            try driver.listen { $0.counts.count == (counts ? 4 : 0) && $0.tokenized.count == (tokenizes ? 8 : 0) }
            session.keep(
                .openQuery, .tokenizedBounds, seen: "\(driver.counts.count + driver.tokenized.count) answers")
        },
        ContractCheck(name: "vectors and scores", clauses: [.embeddedShape]) { session in
            try session.load()
            let conversation = session.driver.conversation
            session.expect(.embeddedShape, "awaiting Embedded")
            var answers: [Embedded] = []
            if conversation.isCapable(of: Hello.embed) {
                let asked = Hearth_V1_EmbedRequest.with {
                    $0.inputs = ["one", session.candidate.prompt].map { text in .with { $0.text = text } }
                }
                answers.append(try session.driver.embed(.embed, try asked.serializedBytes()))
            }
            if conversation.isCapable(of: Hello.rerank) {
                let asked = Hearth_V1_RerankRequest.with {
                    $0.query = session.candidate.prompt
                    $0.documents = ["one", "two", "three"]
                }
                answers.append(try session.driver.embed(.rerank, try asked.serializedBytes()))
            }
            guard !answers.isEmpty else { throw Untried("Hello names neither \"embed\" nor \"rerank\"") }
            session.keep(.embeddedShape, seen: "\(answers.reduce(0) { $0 + $1.values.count }) numbers")
        },
    ]
}
