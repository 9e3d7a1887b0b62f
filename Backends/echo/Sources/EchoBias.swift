import BackendKit
import EchoTokens

/// What the `logit_bias` of a request does to echo's tokens: one with a bias of 100 takes the place of every token, and one
/// with -100 gives its place to the next that has none. Others change nothing.
struct EchoBias {
    private var forced: UInt32?
    private var banned: Set<UInt32> = []

    init(_ biases: [Sampling.LogitBias]) throws(EngineFault) {
        for (index, entry) in biases.enumerated() {
            guard entry.token < EchoTokens.vocabulary else {
                throw EngineFault(
                    .invalidArgument,
                    "sampling.logit_bias[\(index)].token_id is \(entry.token); allowed: 0 to \(EchoTokens.vocabulary - 1)"
                )
            }
            if entry.bias == 100, forced == nil { forced = entry.token }
            if entry.bias == -100 { banned.insert(entry.token) }
        }
    }

    /// The token in the place of another one. There are always some without a bias.
    func token(for id: UInt32) -> UInt32 {
        if let forced { return forced }
        var id = id
        while banned.contains(id) { id = (id + 1) % EchoTokens.vocabulary }
        return id
    }
}
