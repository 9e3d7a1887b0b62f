/// How long consumers' connections live, in seconds; nil: the default of `Limits`. The names are gRPC's own (its
/// proposals A8 and A9).
package struct ConnectionTimes: Sendable, Equatable {
    /// A consumer that has sent nothing for this long is sent a PING; 0: never.
    package var keepalive: UInt32?
    /// The time within which the consumer must answer a PING.
    package var keepaliveTimeout: UInt32?
    /// The shortest time between a consumer's own PINGs while it has calls.
    package var minPingInterval: UInt32?
    /// The time after which a connection without calls is closed; 0: never.
    package var maxIdle: UInt32?
    /// The age at which a connection takes no new calls; 0: never.
    package var maxAge: UInt32?
    /// How long the calls that are open then may go on; 0: for ever.
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
