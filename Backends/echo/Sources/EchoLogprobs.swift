import BackendKit
import EchoTokens
import Glibc

/// Echo's log-probabilities, a function of the token: it is the likeliest in its place, with a probability of 1/2; those whose
/// ids follow have 1/4, 1/8, and so on.
enum EchoLogprobs {
    static func logprobs(of id: UInt32, text: UnsafeRawBufferPointer, alternatives: Int) -> TokenLogprobs {
        TokenLogprobs(
            text: Array(text), logprob: logprob(at: 0),
            alternatives: (0..<alternatives).map { place in
                let other = (id &+ UInt32(place)) % EchoTokens.vocabulary
                return TokenLogprobs.Likely(
                    token: other, text: place == 0 ? Array(text) : Array(EchoTokens.text(of: other).utf8),
                    logprob: logprob(at: place))
            })
    }

    private static func logprob(at place: Int) -> Float { -Float(place + 1) * logf(2) }
}
