internal import Glibc

/// poll(2) on one descriptor, for code that has no event loop. The bits are those of epoll.
package enum Poll {
    /// Waits for at most `nanoseconds` (nil: for ever), rounded up to milliseconds. Returns what the descriptor is ready
    /// for: nothing when the time is over or a signal came.
    package static func wait(
        _ descriptor: CInt, for events: Readiness, nanoseconds: UInt64?
    ) throws(LinuxError) -> Readiness {
        let timeout = nanoseconds.map { CInt(clamping: ($0 &+ 999_999) / 1_000_000) } ?? -1
        var watched = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events.rawValue), revents: 0)
        if poll(&watched, 1, timeout) >= 0 {
            return Readiness(rawValue: UInt32(UInt16(bitPattern: watched.revents)))
        }
        if errno == EINTR { return [] }
        throw LinuxError.last("wait for a descriptor")
    }
}
