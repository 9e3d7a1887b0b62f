internal import Glibc
package import LinuxSystem

/// The time of day at one moment, and with it that of other moments of `Monotonic.awake`.
package struct WallClock: Sendable, Equatable {
    /// Since 1970 (clock_gettime(2), CLOCK_REALTIME).
    package let nanoseconds: UInt64
    private let awake: Monotonic

    package init(nanoseconds: UInt64, at awake: Monotonic) {
        self.nanoseconds = nanoseconds
        self.awake = awake
    }

    package static func now() -> WallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallClock(
            nanoseconds: UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec),
            at: .awake())
    }

    /// The time of day of an earlier moment, as if the machine had not slept since.
    package func nanoseconds(at moment: Monotonic) -> UInt64 {
        let ago = awake.since(moment)
        return nanoseconds > ago ? nanoseconds - ago : 0
    }
}
