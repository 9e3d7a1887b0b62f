package import LinuxSystem

/// A program that was started in a sandbox, and the agent's ends of what connects to it. Several owners may share it.
///
/// `lifeline` is closed when the last of them lets go or the agent dies, which kills the program. The launcher stays a
/// child of the agent until `process.reap()` has returned a status: `LaunchStatus` says how to read it.
package final class SandboxedProcess: Sendable {
    /// The launcher, which lives as long as the program and ends with its status. Killing it kills the program.
    package let process: ProcessHandle
    /// The agent's end of the backend's socket; nonblocking.
    package let socket: Descriptor
    /// What the program writes to standard output and standard error, to be read; nonblocking. Ends with the launcher.
    package let log: Descriptor
    /// `LaunchReport` records, to be read; nonblocking. Ends with the launcher.
    package let report: Descriptor
    /// The write end of the pipe that only the agent holds. Never written to.
    package let lifeline: Descriptor
    /// Its control group, where the machine has one for it.
    package let group: ControlGroup?

    package init(
        process: consuming ProcessHandle, socket: consuming Descriptor, log: consuming Descriptor,
        report: consuming Descriptor, lifeline: consuming Descriptor, group: ControlGroup?
    ) {
        self.process = process
        self.socket = socket
        self.log = log
        self.report = report
        self.lifeline = lifeline
        self.group = group
    }

    /// The launcher's process number, as `ps` shows it.
    package var processID: CInt { process.processID }

    /// Ends a process that nobody watches, and takes its exit status, so that nothing of it is left. Returns at once.
    package func end() {
        process.kill()
        try? DetachedThread.run { _ = self.process.waitForExit() }
    }
}
