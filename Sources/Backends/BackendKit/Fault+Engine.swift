internal import BackendIPC

extension Fault {
    /// An engine's fault as the contract carries it: its message is cut at a whole character.
    init(_ fault: EngineFault) {
        let code: Code =
            switch fault.code {
            case .invalidArgument: .invalidArgument
            case .contextOverflow: .contextOverflow
            case .unsupported: .unsupported
            case .overloaded: .overloaded
            case .internal: .internal
            case .badModel: .badModel
            }
        var message = fault.message
        while message.utf8.count > Limits.faultBytesMax {
            message.removeLast(max(1, (message.utf8.count - Limits.faultBytesMax) / 4))
        }
        self.init(code, message)
    }
}
