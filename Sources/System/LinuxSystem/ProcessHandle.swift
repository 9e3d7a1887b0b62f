internal import CLinux
internal import Glibc

/// A process by descriptor (pidfd_open(2)), so that a reused process id cannot mislead: a child, or one that another process
/// has started and passed on.
///
/// Readable for epoll once the process has ended. Owns the descriptor, not the process.
package struct ProcessHandle: ~Copyable, Sendable {
    package let processID: CInt
    /// For epoll; borrowed.
    package var raw: CInt { descriptor.raw }
    private let descriptor: Descriptor
    /// Whether this process is its parent, which alone is told how it ended, and has to ask, so that no zombie is left.
    package let isChild: Bool

    /// Opens a child that has not been waited for.
    package init(child processID: CInt) throws(LinuxError) {
        self.processID = processID
        isChild = true
        descriptor = Descriptor(owning: try checked("open process \(processID)") { hearth_pidfd_open(processID) })
    }

    /// Takes over a process that another one has started.
    package init(foreign processID: CInt, owning descriptor: consuming Descriptor) {
        self.processID = processID
        isChild = false
        self.descriptor = descriptor
    }

    package func duplicateDescriptor() throws(LinuxError) -> Descriptor { try descriptor.duplicate() }

    /// Sends a signal; does nothing when the process has ended.
    package func send(signal: CInt) { _ = hearth_pidfd_signal(descriptor.raw, signal) }

    /// SIGKILL.
    package func kill() { send(signal: SIGKILL) }

    /// How a process ended that is no child, which the kernel does not tell: as one that ends without a word.
    private static let unknownStatus = ExitStatus.signalled(SIGKILL)

    /// Takes the exit status of a child that has ended; nil while it runs. After a status the child is gone: do not
    /// call it again. That of another process is not told: it counts as killed.
    package func reap() -> ExitStatus? {
        guard isChild else {
            let readiness = try? Poll.wait(raw, for: .readable, nanoseconds: 0)
            return readiness?.hasAny(of: .input) == true ? Self.unknownStatus : nil
        }
        var status: CInt = 0
        guard waitpid(processID, &status, WNOHANG) == processID else { return nil }
        return ExitStatus(waitStatus: status)
    }

    /// Waits for its end, and takes the exit status of a child.
    package func waitForExit() -> ExitStatus {
        guard isChild else {
            while (try? Poll.wait(raw, for: .readable, nanoseconds: nil)) == [] {}
            return Self.unknownStatus
        }
        var status: CInt = 0
        while waitpid(processID, &status, 0) != processID {
            // Anything but an interruption means that the child was waited for elsewhere.
            if errno != EINTR { return .exited(0) }
        }
        return ExitStatus(waitStatus: status)
    }
}

/// How a process ended (wait(2)).
package enum ExitStatus: Equatable, Sendable, CustomStringConvertible {
    case exited(CInt)
    case signalled(CInt)

    init(waitStatus: CInt) {
        // WIFEXITED and its family are macros with these meanings (bits/waitstatus.h).
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signalled(signal)
    }

    package var description: String {
        switch self {
        case .exited(let code): "exited with status \(code)"
        case .signalled(let signal): "ended by signal \(signal) (\(String(cString: strsignal(signal))))"
        }
    }
}
