internal import GRPC
internal import HTTP2Connection
internal import Settings

extension ConnectionTimes {
    /// The limits of a server that keeps these times.
    var limits: Limits {
        var limits = Limits()
        func set(_ limit: WritableKeyPath<Limits, UInt64>, _ seconds: UInt32?) {
            if let seconds { limits[keyPath: limit] = UInt64(seconds) * 1_000 }
        }
        set(\.http2.keepaliveMilliseconds, keepalive)
        set(\.http2.keepaliveTimeoutMilliseconds, keepaliveTimeout)
        set(\.http2.pingIntervalMillisecondsMin, minPingInterval)
        set(\.http2.idleMilliseconds, maxIdle)
        set(\.http2.ageMilliseconds, maxAge)
        set(\.http2.ageGraceMilliseconds, maxAgeGrace)
        // Without a call, a consumer has less reason to ping.
        limits.http2.idlePingIntervalMillisecondsMin = max(
            limits.http2.idlePingIntervalMillisecondsMin, limits.http2.pingIntervalMillisecondsMin)
        return limits
    }
}
