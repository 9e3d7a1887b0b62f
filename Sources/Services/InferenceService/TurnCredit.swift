internal import BackendIPC

/// How far a backend may compute ahead of one turn's consumer, in tokens. Pure.
///
/// Granted in steps of half the most, so that a stream costs one control message in hundreds of tokens, and none while
/// the consumer lags. The send buffer's two marks tell whether it does.
struct TurnCredit: Equatable {
    /// Tokens that may be granted and not have come.
    let most: UInt32
    /// Tokens granted that have not come.
    private(set) var outstanding: UInt32 = 0

    init(most: UInt32) { self.most = most }

    /// How far a backend may compute ahead: fewer tokens where each brings log-probabilities, so that they fit into half of
    /// the bytes of a turn, however long they are. `logprobs`: their alternatives; nil: there are none. `choices` share what
    /// a turn may have.
    static func most(_ limits: InferenceLimits, logprobs: UInt32?, choices: Int = 1) -> UInt32 {
        let share = max(1, limits.creditTokens / UInt32(clamping: choices))
        guard let logprobs else { return share }
        let entries = 1 + min(Int(logprobs), ContractLimits.logprobAlternativesMax)
        let tokenBytes =
            ContractLimits.tokenTextBytesMax + entries * ContractLimits.logprobBytesMax + Self.eventBytesMax
        let room = limits.turnBytesMax / 2 - limits.pendingLogprobBytesMax
        return min(share, UInt32(clamping: max(1, room / tokenBytes / choices)))
    }

    /// What an event of a token has beside text and log-probabilities: its prefix, tags, lengths and numbers.
    private static let eventBytesMax = 64

    /// How many tokens to grant now; 0: none.
    func wanted(isCongested: Bool) -> UInt32 { isCongested || outstanding > most / 2 ? 0 : most - outstanding }

    mutating func granted(_ tokens: UInt32) { outstanding += min(tokens, .max - outstanding) }

    /// Tokens came, whether or not they are sent on.
    mutating func came(_ tokens: UInt32) { outstanding -= min(outstanding, tokens) }

    /// The turn is over. Returns the tokens that were granted and did not come.
    mutating func takeBack() -> UInt32 {
        defer { outstanding = 0 }
        return outstanding
    }
}
