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

    package init() throws(LinuxError) {
        descriptor = Descriptor(owning: try checked("make a signal descriptor") { hearth_signalfd() })
    }

    /// The number of a pending signal, or nil.
    package func next() -> CInt? {
        let number = hearth_signalfd_read(descriptor.raw)
        return number == 0 ? nil : number
    }
}
