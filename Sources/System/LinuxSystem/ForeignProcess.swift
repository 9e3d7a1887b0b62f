internal import CLinux
internal import Glibc

/// A process that need not be a child, by descriptor (pidfd_open(2)), so that a reused process id cannot mislead.
package final class ForeignProcess: Sendable {
    private let descriptor: Descriptor

    /// Throws ESRCH when there is no such process.
    package init(_ processID: CInt) throws(LinuxError) {
        descriptor = Descriptor(owning: try checked("open process \(processID)") { hearth_pidfd_open(processID) })
    }

    /// Blocks until it has ended, or for so long; nil: for ever. Returns whether it has ended.
    @discardableResult
    package func waitForEnd(milliseconds: Int32? = nil) -> Bool {
        var asked = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
        while true {
            let count = poll(&asked, 1, milliseconds ?? -1)
            if count >= 0 { return count > 0 }
            guard errno == EINTR else { return false }
        }
    }
}
