/// How long consumers' connections live, in seconds; nil: the default of `Limits`. The names are gRPC's own (its
/// proposals A8 and A9).
package struct ConnectionTimes: Sendable, Equatable {
    /// A consumer that has sent nothing for so long is sent a PING; 0: never.
    package var keepalive: UInt32?
    /// The consumer must answer a PING within so long.
    package var keepaliveTimeout: UInt32?
    /// A consumer's own PINGs, while it has calls, must be so far apart.
    package var minPingInterval: UInt32?
    /// A connection without calls is closed after so long; 0: never.
    package var maxIdle: UInt32?
    /// A connection takes no new calls after so long; 0: never.
    package var maxAge: UInt32?
    /// Calls that are open then may go on for so long; 0: for ever.
    package var maxAgeGrace: UInt32?

    package init(
        keepalive: UInt32? = nil, keepaliveTimeout: UInt32? = nil, minPingInterval: UInt32? = nil,
        maxIdle: UInt32? = nil, maxAge: UInt32? = nil, maxAgeGrace: UInt32? = nil
    ) {
        self.keepalive = keepalive
        self.keepaliveTimeout = keepaliveTimeout
        self.minPingInterval = minPingInterval
        self.maxIdle = maxIdle
        self.maxAge = maxAge
        self.maxAgeGrace = maxAgeGrace
    }
}
