internal import Glibc

/// Time since the machine was started, in nanoseconds; it never goes back (clock_gettime(2), CLOCK_MONOTONIC).
package struct Monotonic: Comparable, Hashable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static func now() -> Monotonic {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Monotonic(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

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

    /// Nanoseconds since an earlier moment; 0 if it lies ahead.
    package func since(_ earlier: Monotonic) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }
}
