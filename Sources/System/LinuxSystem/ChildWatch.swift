internal import CLinux
internal import Glibc

/// Watches the changes of a child process (wait(2)).
package struct ChildWatch: ~Copyable {
    private let signals: Descriptor

    /// Readable when a child may have changed. Borrowed; keep it open when other descriptors are closed.
    package var raw: CInt { signals.raw }

    /// Blocks SIGCHLD from here on, so that no end of a child is missed: create it before the fork.
    package init() throws(LinuxError) {
        signals = Descriptor(owning: try checked("watch for the end of children") { hearth_child_signals() })
    }

    /// The last change of `child` since the previous call; also reaps every other child that has ended. After an end
    /// the child is gone: do not call it again.
    package func look(at child: CInt) -> ChildChange? {
        var record = [UInt8](repeating: 0, count: 128)
        _ = read(signals.raw, &record, record.count)
        var last: ChildChange?
        var status: CInt = 0
        var use = rusage()
        while case let changed = wait4(-1, &status, WNOHANG | WUNTRACED | WCONTINUED, &use), changed > 0 {
            guard changed == child else { continue }
            // WIFCONTINUED, WIFSTOPPED (bits/waitstatus.h).
            if status == 0xffff {
                last = .continued
            } else if status & 0xff == 0x7f {
                last = .stopped
            } else {
                return .ended(ExitStatus(waitStatus: status), ResourceUse(use))
            }
        }
        return last
    }
}

package enum ChildChange: Equatable, Sendable {
    case ended(ExitStatus, ResourceUse)
    /// By a signal.
    case stopped, continued
}

/// The resources that an ended process had used, with all children that it waited for (getrusage(2)).
package struct ResourceUse: Equatable, Sendable {
    /// Processor time of all processors, in user and system mode.
    package let processorMicroseconds: UInt64
    /// The maximum resident set size.
    package let memoryBytes: UInt64

    package init(processorMicroseconds: UInt64, memoryBytes: UInt64) {
        self.processorMicroseconds = processorMicroseconds
        self.memoryBytes = memoryBytes
    }

    fileprivate init(_ use: rusage) {
        let times = [use.ru_utime, use.ru_stime]
        processorMicroseconds = times.reduce(0) { $0 &+ UInt64(clamping: $1.tv_sec) &* 1_000_000 &+ UInt64($1.tv_usec) }
        memoryBytes = UInt64(clamping: use.ru_maxrss) << 10
    }
}
