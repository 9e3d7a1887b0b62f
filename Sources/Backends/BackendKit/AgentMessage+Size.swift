internal import BackendIPC

extension AgentMessage {
    /// What keeping it costs, roughly: its longest part and some more.
    var contentBytes: Int {
        switch self {
        case .start(let start): start.request.count + 128
        case .countTokens(let count): count.request.count + 128
        default: 128
        }
    }
}
