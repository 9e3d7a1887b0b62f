internal import CLinux
internal import Glibc

/// fork(2), exec and what surrounds them, for the launcher: a process with one thread.
package enum ProcessFork {
    /// 0 in the child, the child's number in the parent.
    package static func fork() throws(LinuxError) -> CInt { try checked("fork") { hearth_fork() } }

    /// A pidfd of this process: for processes that inherit it, it becomes readable once this process has ended.
    package static func handleOfSelf() throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open this process") { hearth_pidfd_open(getpid()) })
    }

    /// Whether a descriptor has something to read, or its other end is gone; does not wait.
    package static func isReady(_ descriptor: CInt) -> Bool {
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&watched, 1, 0) > 0
    }

    /// Starts a session of its own, so that a signal to its process group reaches only this process and its children.
    package static func startSession() throws(LinuxError) { try checked("start a session") { setsid() } }

    package static func unblockSignals() throws(LinuxError) {
        try checked("unblock signals") { hearth_unblock_signals() }
    }

    /// This process's own environment, `NAME=value`.
    package static var inheritedEnvironment: [String] {
        var entries: [String] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(String(cString: entry))
            next += 1
        }
        return entries
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

    /// Loads the filter, if there is one, with a notification descriptor for the supervisor, and executes the program
    /// in the descriptor; returns only after a failure. There is no other system call between the two. The notification
    /// descriptor gets the lowest free number.
    package static func execute(
        _ descriptor: CInt, arguments: [String], environment: [String], supervisedFilter: [UInt8]?
    ) -> LinuxError {
        CStringList.with(arguments) { argv in
            CStringList.with(environment) { envp in
                (supervisedFilter ?? []).withUnsafeBytes { bytes in
                    if !bytes.isEmpty, hearth_load_supervised_filter(bytes.baseAddress, bytes.count) < 0 {
                        return LinuxError.last("load the seccomp filter")
                    }
                    _ = hearth_execute(descriptor, argv, envp)
                    return LinuxError.last("execute the backend")
                }
            }
        }
    }
}
