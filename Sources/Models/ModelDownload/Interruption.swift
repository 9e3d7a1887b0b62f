internal import Glibc
package import LinuxSystem
package import ModelPull
internal import Synchronization

/// Whether this process is to end: a signal came, or whoever started it is gone.
package enum Interruption {
    private static let wasAsked = Atomic<Bool>(false)
    private static let readable = Atomic<CInt>(-1)
    /// Time for closing what is open. A disk that hangs takes longer, and is not waited for.
    private static let graceSeconds: UInt32 = 2

    /// Watches from now on; SIGINT, SIGTERM and SIGHUP are blocked in every thread, and standard input was read as far as
    /// its first line. Throws where no thread can be started.
    package static func watch() throws(LinuxError) {
        let pipe = try Descriptor.pipe()
        let writer = pipe.second.raw
        // Both stay open for as long as the process lives; the thread closes the one to write.
        readable.store(
            pipe.take { first, second in
                _ = second.release()
                return first.release()
            }, ordering: .relaxed)
        try DetachedThread.run {
            wait()
            wasAsked.store(true, ordering: .relaxed)
            close(writer)
            sleep(graceSeconds)
            _exit(PullFailure.Kind.temporary.rawValue)
        }
    }

    /// Can be read once this process is to end; -1 before `watch`.
    static var descriptor: CInt { readable.load(ordering: .relaxed) }

    package static var isAsked: Bool { wasAsked.load(ordering: .relaxed) }

    /// Throws once this process is to end.
    package static func check() throws(PullFailure) {
        if isAsked { throw PullFailure(.temporary, "stopped; the same command goes on from here") }
    }

    private static func wait() {
        guard let signals = try? TerminationSignals() else { return }
        while signals.next() == nil {
            let watched: [(descriptor: CInt, events: Readiness)] = [
                (STDIN_FILENO, .readable), (signals.descriptor.raw, .readable),
            ]
            guard let ready = try? Poll.waitForAny(of: watched, nanoseconds: nil) else { return }
            if ready[0] != [] {
                var byte: UInt8 = 0
                if read(STDIN_FILENO, &byte, 1) <= 0, errno != EINTR { return }
            }
        }
    }
}
