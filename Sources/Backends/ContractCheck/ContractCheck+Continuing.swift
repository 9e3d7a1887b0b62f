internal import BackendDriver
internal import BackendIPC
internal import InferenceMessages

// A completion that goes on in another process.
extension ContractCheck {
    static let continuation = ContractCheck(name: "a completion in two processes", clauses: [.continuation]) {
        session in
        try session.loadForCompletions()
        guard session.driver.conversation.isCapable(of: Hello.continue) else {
            throw Untried("Hello names no \"continue\"")
        }
        guard session.revision >= 2 else { throw Untried("its revision has no continued sequences") }
        for temperature in [0, 1] as [Float] {
            let asked = try session.request(tokens: 24) { $0.sampling.temperature = temperature }
            let whole = try session.split(asked)
            try session.inAnotherProcess { other in
                let rest = try other.complete(asked, behind: whole.beginning.tokens)
                if whole.isMade(of: rest) { return }
                // Nothing is said about a backend that draws anew for each request.
                guard try other.split(asked) == whole else {
                    throw Untried("the same request gives other tokens in another process")
                }
                throw Broken(
                    .continuation,
                    "behind the first \(whole.beginning.tokens.count) tokens of a completion at temperature"
                        + " \(Int(temperature)) it went on with \(Self.some(rest)), and without a break with"
                        + " \(Self.some(whole.rest))")
            }
        }
        session.keep(.continuation, seen: "the tokens and the text of two completions, as without a break")
    }

    private static func some(_ completion: Completion) -> String {
        let ids = completion.tokens.prefix(4).map(String.init).joined(separator: " ")
        return "the tokens \(ids.isEmpty ? "(none)" : ids) (\(completion.tokens.count) in all)"
    }
}

/// A completion of one process, in two parts.
struct SplitCompletion: Equatable {
    /// What came for the first tokens, and the whole.
    let beginning: Completion
    let whole: Completion

    /// What came behind the beginning.
    var rest: Completion { whole.behind(beginning) }

    /// Whether another process, which was given the tokens of the beginning, has sent the rest. In how many runs does not
    /// matter, nor how much of the prompt was cached.
    func isMade(of rest: Completion) -> Bool {
        let own = self.rest
        return own.tokens == rest.tokens && own.bytes == rest.bytes && own.reasoningBytes == rest.reasoningBytes
            && whole.finish?.outcome == rest.finish?.outcome && whole.finish?.promptTokens == rest.finish?.promptTokens
    }

    static func == (one: SplitCompletion, other: SplitCompletion) -> Bool {
        one.beginning.tokens == other.beginning.tokens && one.isMade(of: other.rest)
    }
}
