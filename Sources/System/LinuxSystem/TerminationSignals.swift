internal import CLinux

/// SIGINT, SIGTERM and SIGHUP, read from a descriptor instead of interrupting (signalfd(2)).
package struct TerminationSignals: ~Copyable, Sendable {
    /// Readable while a signal is pending.
    package let descriptor: Descriptor

    /// Call it before any other thread starts, so that all of them inherit the mask. A child inherits it too: reset it
    /// when you spawn one.
    package static func block() {
        precondition(hearth_block_termination() == 0, "pthread_sigmask fails only for a bad argument")
    }

    /// The same for a process that its signals may end only after it has cleaned up: they wait for `release`, and
    /// `descriptor` becomes readable when one waits; it need not be read. Signals that the process ignores, as under
    /// nohup(1), stay ignored.
    package static func hold() {
        precondition(hearth_hold_termination() == 0, "pthread_sigmask fails only for a bad argument")
    }

    /// Lets a waiting signal end the process now, and later ones at once. Called by the thread that has cleaned up.
    package static func release() {
        precondition(hearth_release_termination() == 0, "pthread_sigmask fails only for a bad argument")
    }

    package init() throws(LinuxError) {
        descriptor = Descriptor(owning: try checked("make a signal descriptor") { hearth_signalfd() })
    }

    /// The number of a pending signal, or nil.
    package func next() -> CInt? {
        let number = hearth_signalfd_read(descriptor.raw)
        return number == 0 ? nil : number
    }
}
