package import LinuxSystem

/// Limits a client's PINGs (gRPC's proposal A8 and doc/keepalive.md, "too_many_pings"). Pure.
///
/// A PING that comes too soon after the one before it is a strike; one strike too many ends the connection. HEADERS or
/// DATA that we send clear the strikes, because bandwidth estimators answer our data with PINGs.
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

    /// Counts one PING; false when it is one too many.
    package mutating func received(at now: Monotonic, hasStreams: Bool) -> Bool {
        defer { last = now }
        let milliseconds = hasStreams ? intervalMilliseconds : idleIntervalMilliseconds
        guard let last, now < last.advanced(milliseconds: milliseconds) else { return true }
        strikes += 1
        return strikes <= strikesMax
    }

    /// Clears the strikes: HEADERS or DATA were sent.
    package mutating func pardon() {
        strikes = 0
        last = nil
    }
}
