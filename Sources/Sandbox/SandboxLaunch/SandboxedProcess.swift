package import LaunchPlan
package import LinuxSystem

/// A program that was started in a sandbox, with the agent's ends of its sockets and pipes. Several owners may share
/// it.
///
/// `keeper` is closed when the last owner releases it or the agent dies, which kills the program. The launcher stays a
/// child of the agent until `process.reap()` has returned a status; the keeper reports how the program ended.
package final class SandboxedProcess: Sendable {
    /// The launcher, which lives as long as the program. Killing it kills the program.
    package let process: ProcessHandle
    /// The agent's end of the backend's socket; nonblocking.
    package let socket: Descriptor
    /// The pipe from which the program's standard output and standard error are read; nonblocking. Ends with the
    /// launcher.
    package let log: Descriptor
    /// The agent's end of the socket to the keeper, which no other process has: `KeeperReport` comes, `KeeperCommand`
    /// goes. A `KeeperConversation` interprets them. Ends with the launcher.
    package let keeper: Descriptor
    /// Its control group; nil if none was delegated.
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

    /// Goes on with a program that another agent has started.
    /// - Parameter controlGroup: the path of its control group; nil: it has none.
    package init(
        foreign processID: CInt, owning process: consuming Descriptor, socket: consuming Descriptor,
        keeper: consuming Descriptor, log: consuming Descriptor, controlGroup: String?
    ) {
        self.process = ProcessHandle(foreign: processID, owning: process)
        self.socket = socket
        self.log = log
        self.keeper = keeper
        group = controlGroup.map(ControlGroup.init)
    }

    /// The launcher's process id.
    package var processID: CInt { process.processID }

    /// Leaves the program to another agent, which has duplicates of the descriptors: nothing that follows ends it. None of
    /// them may be watched any more, except for that of the process, which still has to be reaped where it is a child.
    package func abandon() {
        group?.abandon()
        // Fails only where nothing can be opened any more; then they are closed with this object.
        try? socket.abandon()
        try? log.abandon()
        try? keeper.abandon()
    }

    /// Ends a process that is not watched, and takes its exit status, so that no zombie is left. Returns at once.
    package func end() {
        process.kill()
        try? DetachedThread.run { _ = self.process.waitForExit() }
    }
}

// Its keeper.
extension SandboxedProcess {
    /// The keeper's next datagram. Does not wait.
    package func hear() throws(LinuxError) -> Datagram {
        try Socket.receiveDatagram(keeper.raw, max: KeeperReport.byteCountMax)
    }

    /// Sends a datagram of `KeeperConversation.ask`. Returns whether the socket had room for it; true also when the
    /// keeper is gone.
    package func tell(_ datagram: [UInt8]) -> Bool {
        do throws(LinuxError) {
            return try Socket.sendDatagram(keeper.raw, datagram, waits: false)
        } catch {
            return true
        }
    }

    /// Waits until the keeper is gone; passes its reports on, and returns the conversation. Throws for a datagram that
    /// a keeper would not send.
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
