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

    /// Loads the filter, if there is one, for a supervisor, and becomes the program in the descriptor; returns only what
    /// failed. Between the two there is no other system call. The supervisor's end is the lowest free descriptor.
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

/// Waits for a child, and for a pipe whose end says that nobody needs the child any more.
package struct ChildWatch: ~Copyable {
    private let signals: Descriptor

    /// Borrowed, to be kept when others are closed.
    package var raw: CInt { signals.raw }

    /// Blocks SIGCHLD from here on, so that no end of a child is missed: make it before the fork.
    package init() throws(LinuxError) {
        signals = Descriptor(owning: try checked("watch for the end of children") { hearth_child_signals() })
    }

    /// What a watch was woken by.
    package enum Event {
        case ended(ExitStatus)
        /// The lifeline is readable or closed.
        case lifelineLost
        /// A call waits for the supervisor, or none can come any more.
        case supervision
        case timeOver
    }

    /// Waits until `child` has ended, reaping every other that ends meanwhile, or until one of the others happens. Throws
    /// where waiting is refused: then nobody would see the agent die, and the child must not go on.
    /// - Parameters:
    ///   - listener: a supervisor's end; nil watches none.
    ///   - nanoseconds: nil waits for ever.
    package func next(
        child: CInt, lifeline: CInt, listener: CInt? = nil, nanoseconds: Int64? = nil
    ) throws(LinuxError) -> Event {
        var watched = [
            pollfd(fd: lifeline, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
            // Below 0: not looked at (poll(2)).
            pollfd(fd: listener ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let ready = hearth_poll_many(&watched, 3, nanoseconds ?? -1)
            if ready < 0 {
                if errno == EINTR { continue }
                throw LinuxError.last("wait for the backend")
            }
            if ready == 0 { return .timeOver }
            if watched[0].revents != 0 { return .lifelineLost }
            if watched[1].revents != 0, let status = reap(child) { return .ended(status) }
            if watched[2].revents != 0 { return .supervision }
        }
    }

    private func reap(_ child: CInt) -> ExitStatus? {
        var record = [UInt8](repeating: 0, count: 128)
        _ = read(signals.raw, &record, record.count)
        var status: CInt = 0
        while true {
            let ended = waitpid(-1, &status, WNOHANG)
            if ended <= 0 { return nil }
            // A child that asked to be traced is also told of when it stops: it has not ended (WIFSTOPPED).
            if ended == child, status & 0xff != 0x7f { return ExitStatus(waitStatus: status) }
        }
    }
}
