package import LinuxSystem

/// The launcher's exit statuses, for people; any other status is the backend's own. A backend can exit with each of
/// these too, so the agent relies on `KeeperReport` alone.
package enum LauncherStatus {
    /// The agent died, and the backend was killed with it.
    package static let agentLost: CInt = 124
    /// The launch failed; one line on standard error and `KeeperReport.failed` say why.
    package static let failed: CInt = 125
    /// A backend that a signal ended is reported as this plus the signal's number.
    package static let signalBase: CInt = 128

    /// The launcher's exit status for a program that ended this way.
    package static func of(_ status: ExitStatus) -> CInt {
        switch status {
        case .exited(let code): code
        case .signalled(let signal): signalBase + signal
        }
    }
}
