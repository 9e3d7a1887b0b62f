internal import BackendIPC

extension AgentMessage {
    /// The approximate memory that it takes: its longest part and some more.
    var contentBytes: Int {
        switch self {
        case .start(let start): start.request.count + (start.continuation?.packedTokenIDs.count ?? 0) + 128
        case .countTokens(let count): count.request.count + 128
        case .tokenize(let tokenize): tokenize.request.count + 128
        case .embed(let embed): embed.request.count + 128
        default: 128
        }
    }
}
