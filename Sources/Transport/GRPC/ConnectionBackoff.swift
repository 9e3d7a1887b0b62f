/// How long to wait after each attempt in a row that has failed: longer each time, and not at the same moment as others who
/// wait for the same server. A value without clock and chance.
package struct ConnectionBackoff: Equatable, Sendable {
    /// The first wait, and the longest, before chance is added.
    package let firstMilliseconds: UInt64
    package let lastMilliseconds: UInt64
    private var next: Double

    /// gRPC's numbers (grpc/doc/connection-backoff.md).
    private static let factor = 1.6
    private static let jitter = 0.2

    package init(firstMilliseconds: UInt64 = 1_000, lastMilliseconds: UInt64 = 120_000) {
        self.firstMilliseconds = firstMilliseconds
        self.lastMilliseconds = lastMilliseconds
        next = Double(firstMilliseconds)
    }

    /// The wait after one more failure. `chance` is from -1 to 1, and drawn anew each time.
    package mutating func failed(chance: Double) -> UInt64 {
        let wait = next * (1 + Self.jitter * max(-1, min(chance, 1)))
        next = min(next * Self.factor, Double(lastMilliseconds))
        return UInt64(wait)
    }

    /// An attempt has succeeded.
    package mutating func reset() { next = Double(firstMilliseconds) }
}
