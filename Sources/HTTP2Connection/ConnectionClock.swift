internal import LinuxSystem

/// The moments after which a connection has waited too long; pure.
struct ConnectionClock {
    /// The peer's SETTINGS must have come; nil once they have.
    var handshakeEnds: Monotonic?
    /// The header block that has begun must have ended; nil when none has begun.
    var headersEnd: Monotonic?
    /// The socket must have taken something; nil when it is not blocked.
    var stallEnds: Monotonic?
    /// A stream must have begun; nil while there is one.
    var idleEnds: Monotonic?
    /// GOAWAY's last word must be said; nil when none is due.
    var drainEnds: Monotonic?

    enum Due: Equatable { case handshake, headers, stall, idle, drain }

    /// The next moment to look again.
    var next: Monotonic? { [handshakeEnds, headersEnd, stallEnds, idleEnds, drainEnds].compactMap { $0 }.min() }

    /// What has been waited for too long.
    func due(at now: Monotonic) -> Due? {
        if let handshakeEnds, handshakeEnds <= now { return .handshake }
        if let headersEnd, headersEnd <= now { return .headers }
        if let stallEnds, stallEnds <= now { return .stall }
        if let idleEnds, idleEnds <= now { return .idle }
        if let drainEnds, drainEnds <= now { return .drain }
        return nil
    }
}
