internal import BackendIPC

/// The log-probabilities of a token that is emitted: natural logarithms of the probabilities that the model computed for its
/// place, before any sampling.
public struct TokenLogprobs: Equatable, Sendable {
    /// One of the likeliest tokens.
    public struct Likely: Equatable, Sendable {
        public var token: UInt32
        /// Its text, which may begin or end inside a scalar; cut after 128 bytes.
        public var text: [UInt8]
        /// Its log-probability: finite, 0 or less.
        public var logprob: Float

        public init(token: UInt32, text: [UInt8], logprob: Float) {
            self.token = token
            self.text = text
            self.logprob = logprob
        }
    }

    /// The text of the token that is emitted, cut after 128 bytes.
    public var text: [UInt8]
    /// The log-probability of the token that is emitted: finite, 0 or less.
    public var logprob: Float
    /// The likeliest first, at most as many as the request asked for (`GenerateRequest.logprobs`).
    public var alternatives: [Likely]

    public init(text: [UInt8], logprob: Float, alternatives: [Likely] = []) {
        self.text = text
        self.logprob = logprob
        self.alternatives = alternatives
    }

    func entry(of token: UInt32) -> TokenLogprob {
        func cut(_ text: [UInt8]) -> [UInt8] { Array(text.prefix(ContractLimits.logprobTextBytesMax)) }
        return TokenLogprob(
            chosen: LikelyToken(id: token, text: cut(text), logprob: logprob),
            alternatives: alternatives.map { LikelyToken(id: $0.token, text: cut($0.text), logprob: $0.logprob) })
    }
}
