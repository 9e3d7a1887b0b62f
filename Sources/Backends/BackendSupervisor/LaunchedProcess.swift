package import LinuxSystem

/// A backend that was started, and the agent's ends of what connects to it.
///
/// Closing `lifeline`, which happens when this value ends or the agent dies, kills the backend. The launcher stays a
/// child of the agent until `process.reap()` has returned a status: `LaunchStatus` says how to read it.
package struct LaunchedProcess: ~Copyable, Sendable {
    /// The launcher, which lives as long as the backend and ends with its status. Killing it kills the backend.
    package let process: ProcessHandle
    /// The agent's end of the backend's socket; nonblocking.
    package let socket: Descriptor
    /// What the backend writes to standard output and standard error, to be read; nonblocking. Ends with the launcher.
    package let log: Descriptor
    /// `SupervisedCall` records, to be read; nonblocking. Ends with the launcher.
    package let report: Descriptor
    /// The write end of the pipe that only the agent holds. Never written to.
    package let lifeline: Descriptor
    /// Its control group, where the machine has one for it.
    package let group: ControlGroup?

    /// The launcher's process number, as `ps` shows it.
    package var processID: CInt { process.processID }
}
