internal import CLinux
internal import Glibc

/// Time since the machine was started, in nanoseconds; it never goes back. There are two clocks, whose moments must not be
/// compared: `now` goes on while the machine sleeps, `awake` does not.
package struct Monotonic: Comparable, Hashable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// For what a person has set a time to: deadlines, ages and idle times, and all timers of the loop (clock_gettime(2),
    /// CLOCK_BOOTTIME).
    package static func now() -> Monotonic {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Monotonic(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    /// For what a program can only do while the machine is awake: a watchdog's patience, the speed of tokens
    /// (clock_gettime(2), CLOCK_MONOTONIC). In C, because the compiler makes one function of two that differ in a number
    /// only, and the detour costs a token 35 instructions.
    package static func awake() -> Monotonic { Monotonic(nanoseconds: hearth_awake_nanoseconds()) }

    package static func < (left: Monotonic, right: Monotonic) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The moment this many milliseconds later; saturates.
    package func advanced(milliseconds: UInt64) -> Monotonic {
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return advanced(nanoseconds: overflow ? .max : product)
    }

    /// The moment this many nanoseconds later; saturates.
    package func advanced(nanoseconds added: UInt64) -> Monotonic {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(added)
        return Monotonic(nanoseconds: overflow ? .max : sum)
    }

    /// The moment this many nanoseconds earlier; the machine's start if that lies before it.
    package func earlier(nanoseconds taken: UInt64) -> Monotonic {
        Monotonic(nanoseconds: nanoseconds > taken ? nanoseconds - taken : 0)
    }

    /// Nanoseconds since an earlier moment; 0 if it lies ahead.
    package func since(_ earlier: Monotonic) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }
}
