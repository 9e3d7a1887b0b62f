internal import CLinux
internal import Glibc

/// ppoll(2), for code that has no event loop. The bits are those of epoll.
package enum Poll {
    /// Waits for at most `nanoseconds` (nil: for ever). Returns what the descriptor is ready for: nothing when the time
    /// is over or a signal came. Throws EINTR once `interruption`, borrowed for the call, can be read.
    package static func wait(
        _ descriptor: CInt, for events: Readiness, nanoseconds: UInt64?, interruption: CInt? = nil
    ) throws(LinuxError) -> Readiness {
        let timeout = nanoseconds.map { Int64(min($0, 1 << 62)) } ?? -1
        var isInterrupted: CInt = 0
        let ready = hearth_poll(
            descriptor, Int16(truncatingIfNeeded: events.rawValue), interruption ?? -1, timeout, &isInterrupted)
        if ready >= 0, isInterrupted != 0 { throw LinuxError(code: EINTR, operation: "wait for a descriptor") }
        if ready >= 0 { return Readiness(rawValue: UInt32(ready)) }
        if errno == EINTR { return [] }
        throw LinuxError.last("wait for a descriptor")
    }

    /// Waits until one of several descriptors is ready, for at most `nanoseconds` (nil: for ever). Returns what each is
    /// ready for, in their order; all are empty when the time is over. A descriptor below 0 is ignored; errors and
    /// hang-ups of the others are always reported.
    package static func waitForAny(
        of watched: [(descriptor: CInt, events: Readiness)], nanoseconds: Int64?
    ) throws(LinuxError) -> [Readiness] {
        var entries = watched.map {
            pollfd(fd: $0.descriptor, events: Int16(truncatingIfNeeded: $0.events.rawValue), revents: 0)
        }
        try checked("wait for descriptors") { hearth_poll_many(&entries, UInt32(entries.count), nanoseconds ?? -1) }
        return entries.map { Readiness(rawValue: UInt32(UInt16(bitPattern: $0.revents))) }
    }
}
