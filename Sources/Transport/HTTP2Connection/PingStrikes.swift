package import LinuxSystem

/// Holds a client to the pings that it may send (gRPC's proposal A8 and doc/keepalive.md, "too_many_pings"); pure.
///
/// A ping that comes sooner after the one before it than is allowed is a strike; one strike too many ends the
/// connection. What we send on a stream pardons them all: estimators of bandwidth answer our data with pings.
package struct PingStrikes: Sendable {
    private let intervalMilliseconds: UInt64
    private let idleIntervalMilliseconds: UInt64
    private let strikesMax: Int
    private var strikes = 0
    private var last: Monotonic?

    package init(_ limits: HTTP2Limits) {
        intervalMilliseconds = limits.pingIntervalMillisecondsMin
        idleIntervalMilliseconds = limits.idlePingIntervalMillisecondsMin
        strikesMax = limits.pingStrikesMax
    }

    /// Counts one ping; false when it is one too many.
    package mutating func received(at now: Monotonic, hasStreams: Bool) -> Bool {
        defer { last = now }
        let milliseconds = hasStreams ? intervalMilliseconds : idleIntervalMilliseconds
        guard let last, now < last.advanced(milliseconds: milliseconds) else { return true }
        strikes += 1
        return strikes <= strikesMax
    }

    /// HEADERS or DATA were sent.
    package mutating func pardon() {
        strikes = 0
        last = nil
    }
}
