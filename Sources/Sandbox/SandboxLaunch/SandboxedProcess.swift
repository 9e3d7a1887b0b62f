package import LaunchPlan
package import LinuxSystem

/// A program that was started in a sandbox, and the agent's ends of what connects to it. Several owners may share it.
///
/// `keeper` is closed when the last of them lets go or the agent dies, which kills the program. The launcher stays a
/// child of the agent until `process.reap()` has returned a status; how the program ended, its keeper says.
package final class SandboxedProcess: Sendable {
    /// The launcher, which lives as long as the program. Killing it kills the program.
    package let process: ProcessHandle
    /// The agent's end of the backend's socket; nonblocking.
    package let socket: Descriptor
    /// What the program writes to standard output and standard error, to be read; nonblocking. Ends with the launcher.
    package let log: Descriptor
    /// The agent's end of the socket to the keeper, which nobody else has: `KeeperReport` one way, `KeeperCommand` the
    /// other. A `KeeperConversation` says what they mean. Ends with the launcher.
    package let keeper: Descriptor
    /// Its control group, where the machine has one for it.
    package let group: ControlGroup?

    package init(
        process: consuming ProcessHandle, socket: consuming Descriptor, log: consuming Descriptor,
        keeper: consuming Descriptor, group: ControlGroup?
    ) {
        self.process = process
        self.socket = socket
        self.log = log
        self.keeper = keeper
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

// Its keeper.
extension SandboxedProcess {
    /// What the keeper says next. Does not wait.
    package func hear() throws(LinuxError) -> Datagram {
        try Socket.receiveDatagram(keeper.raw, max: KeeperReport.byteCountMax)
    }

    /// Sends what `KeeperConversation.ask` gave. Whether the keeper had room for it; true also when it is gone.
    package func tell(_ datagram: [UInt8]) -> Bool {
        do throws(LinuxError) {
            return try Socket.sendDatagram(keeper.raw, datagram, waits: false)
        } catch {
            return true
        }
    }

    /// Waits until the keeper is gone; what it said, and what that comes to. Throws for what no keeper would say.
    package func hearToEnd(_ heard: (KeeperReport) -> Void = { _ in }) throws -> KeeperConversation {
        var conversation = KeeperConversation()
        while !conversation.isOver {
            switch try hear() {
            case .nothing: _ = try Poll.wait(keeper.raw, for: .readable, nanoseconds: nil)
            case .ended: return conversation
            case .received(let datagram): heard(try conversation.hear(datagram))
            }
        }
        return conversation
    }
}
