internal import CLinux
internal import Glibc

/// fork(2), exec and what surrounds them, for the launcher: a process with one thread.
package enum ProcessFork {
    /// 0 in the child, the child's number in the parent.
    package static func fork() throws(LinuxError) -> CInt { try checked("fork") { hearth_fork() } }

    /// A descriptor of this process: readable, for those that inherit it, once this process has ended.
    package static func handleOfSelf() throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open this process") { hearth_pidfd_open(getpid()) })
    }

    /// Whether a descriptor has something to read, or its other end is gone; does not wait.
    package static func isReady(_ descriptor: CInt) -> Bool {
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&watched, 1, 0) > 0
    }

    /// A session of its own, so that no signal to a group reaches further than this process and its children.
    package static func startSession() throws(LinuxError) { try checked("start a session") { setsid() } }

    package static func unblockSignals() throws(LinuxError) {
        try checked("unblock signals") { hearth_unblock_signals() }
    }

    /// Closes every descriptor from `first` to `last`, both inclusive; nil: to the highest.
    package static func closeAll(from first: CInt, to last: CInt? = nil) throws(LinuxError) {
        guard first <= last ?? CInt.max else { return }
        try checked("close descriptors from \(first)") {
            hearth_close_range(UInt32(first), last.map { UInt32($0) } ?? .max)
        }
    }

    package static func setCloseOnExec(_ descriptor: CInt) throws(LinuxError) {
        try checked("set close-on-exec on descriptor \(descriptor)") { fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }

    /// Loads the filter and becomes the program in the descriptor; returns only what failed. Between the two there is
    /// no other system call.
    package static func execute(
        _ descriptor: CInt, arguments: [String], environment: [String], filter: [UInt8]
    ) -> LinuxError {
        CStringList.with(arguments) { argv in
            CStringList.with(environment) { envp in
                filter.withUnsafeBytes { bytes in
                    if hearth_load_filter(bytes.baseAddress, bytes.count) != 0 {
                        return LinuxError.last("load the seccomp filter")
                    }
                    _ = hearth_execute(descriptor, argv, envp)
                    return LinuxError.last("execute the backend")
                }
            }
        }
    }
}

/// Waits for a child, and for a pipe whose end says that nobody needs the child any more.
package struct ChildWatch: ~Copyable {
    private let signals: Descriptor

    /// Borrowed, to be kept when others are closed.
    package var raw: CInt { signals.raw }

    /// Blocks SIGCHLD from here on, so that no end of a child is missed: make it before the fork.
    package init() throws(LinuxError) {
        signals = Descriptor(owning: try checked("watch for the end of children") { hearth_child_signals() })
    }

    /// Reaps every child until `child` has ended, and returns its status; nil once `lifeline` is readable or closed.
    package func wait(for child: CInt, lifeline: CInt) -> ExitStatus? {
        var watched = [
            pollfd(fd: lifeline, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            // A child that ended before this is told of too: the signal stays pending in the descriptor.
            if poll(&watched, 2, -1) < 0 { continue }
            if watched[0].revents != 0 { return nil }
            var record = [UInt8](repeating: 0, count: 128)
            _ = read(signals.raw, &record, record.count)
            var status: CInt = 0
            while true {
                let ended = waitpid(-1, &status, WNOHANG)
                if ended <= 0 { break }
                // A child that asked to be traced is also told of when it stops: it has not ended (WIFSTOPPED).
                if ended == child, status & 0xff != 0x7f { return ExitStatus(waitStatus: status) }
            }
        }
    }
}
