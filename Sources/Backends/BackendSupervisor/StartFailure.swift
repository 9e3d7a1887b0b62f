internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import StrictJSON
internal import TerminalText

/// Why a backend's process could not be started.
struct StartFailure: Error {
    let description: String
    /// Whether no other attempt can succeed until something has been put right.
    let isForOwner: Bool
    /// Whether weights are awaited; a look at the folder finds them when they come.
    let isWaiting: Bool

    init(_ error: any Error) {
        isWaiting = error is WeightsAwaited
        description = printable((error as? WeightsAwaited)?.description ?? "\(error)")
        // A failure that is not known to be final is tried again.
        isForOwner =
            switch error {
            case let error as SandboxError: !error.isTransient
            case let error as LinuxError: !error.isTransient
            case let error as TrustError: !error.isTransient
            case let error as SupervisorError: !error.isTransient
            case let error as SandboxPolicyError: !error.isTransient
            default: false
            }
    }
}
