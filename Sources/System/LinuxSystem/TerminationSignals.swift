internal import CLinux

/// SIGINT, SIGTERM and SIGHUP as something to read instead of something that interrupts (signalfd(2)).
package struct TerminationSignals: ~Copyable, Sendable {
    /// Readable while a signal is pending.
    package let descriptor: Descriptor

    /// To be called before any other thread starts, so that all of them inherit the mask. A child inherits it too: who
    /// spawns one resets it.
    package static func block() {
        precondition(hearth_block_termination() == 0, "pthread_sigmask fails only for a bad argument")
    }

    /// The same for a process that ends by its signals, but not before it has put things in order: they wait for `release`,
    /// and `descriptor`, which nobody need read, says that one does. Those that the process ignores, as under nohup(1), it
    /// goes on to ignore.
    package static func hold() {
        precondition(hearth_hold_termination() == 0, "pthread_sigmask fails only for a bad argument")
    }

    /// Lets one that waits end the process now, and later ones at once. Called by the thread that put things in order.
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
