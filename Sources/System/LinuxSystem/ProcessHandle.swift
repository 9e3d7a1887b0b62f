internal import CLinux
internal import Glibc

/// A child process by descriptor (pidfd_open(2)), so that a reused process id cannot mislead.
///
/// Readable for epoll once the process has ended. Owns the descriptor, not the process.
package struct ProcessHandle: ~Copyable, Sendable {
    package let processID: CInt
    /// For epoll; borrowed.
    package var raw: CInt { descriptor.raw }
    private let descriptor: Descriptor

    /// Opens a child that has not been waited for.
    package init(child processID: CInt) throws(LinuxError) {
        self.processID = processID
        descriptor = Descriptor(owning: try checked("open process \(processID)") { hearth_pidfd_open(processID) })
    }

    /// Sends a signal; does nothing when the process has ended.
    package func send(signal: CInt) { _ = hearth_pidfd_signal(descriptor.raw, signal) }

    /// SIGKILL.
    package func kill() { send(signal: SIGKILL) }

    /// Takes the exit status of a child that has ended; nil while it runs. After a status the child is gone: do not
    /// call it again.
    package func reap() -> ExitStatus? {
        var status: CInt = 0
        guard waitpid(processID, &status, WNOHANG) == processID else { return nil }
        return ExitStatus(waitStatus: status)
    }

    /// Waits for the end of the child and takes its exit status.
    package func waitForExit() -> ExitStatus {
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
