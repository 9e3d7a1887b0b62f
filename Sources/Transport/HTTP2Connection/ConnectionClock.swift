internal import LinuxSystem

/// The deadlines of a connection. Pure.
struct ConnectionClock {
    /// The peer's SETTINGS must have come; nil once they have.
    var handshakeEnds: Monotonic?
    /// The header block that has begun must have ended; nil when none has begun.
    var headersEnd: Monotonic?
    /// The socket must have accepted some bytes; nil when it is not blocked.
    var stallEnds: Monotonic?
    /// A stream must have begun; nil while there is one.
    var idleEnds: Monotonic?
    /// The peer must have sent something, or gets a PING; nil when it has one to answer, or none is ever sent.
    var quietEnds: Monotonic?
    /// The PING must have been answered; nil when none is under way.
    var keepaliveEnds: Monotonic?
    /// The connection is too old and takes no new streams from then on; nil when it has no such age, or has reached it.
    var ageEnds: Monotonic?
    /// Its last streams must have ended; nil when they may go on.
    var ageGraceEnds: Monotonic?
    /// The final GOAWAY must be sent; nil when none is due.
    var drainEnds: Monotonic?
    /// The client must have read more of calls that are over; nil while the connection takes new streams.
    var unreadEnds: Monotonic?
    /// The peer must have closed after everything was sent; nil until then.
    var lingerEnds: Monotonic?

    enum Due: Equatable, CaseIterable {
        case handshake, headers, stall, keepalive, quiet, idle, age, ageGrace, drain, unread, linger
    }

    subscript(due: Due) -> Monotonic? {
        switch due {
        case .handshake: handshakeEnds
        case .headers: headersEnd
        case .stall: stallEnds
        case .keepalive: keepaliveEnds
        case .quiet: quietEnds
        case .idle: idleEnds
        case .age: ageEnds
        case .ageGrace: ageGraceEnds
        case .drain: drainEnds
        case .unread: unreadEnds
        case .linger: lingerEnds
        }
    }

    /// Postpones a deadline, because what the peer must send by then may have come and was not read yet.
    mutating func putOff(_ due: Due, until moment: Monotonic) {
        switch due {
        case .handshake: handshakeEnds = moment
        case .headers: headersEnd = moment
        case .keepalive: keepaliveEnds = moment
        case .stall, .quiet, .idle, .age, .ageGrace, .drain, .unread, .linger: break
        }
    }

    /// The earliest deadline.
    var next: Monotonic? { Due.allCases.compactMap { self[$0] }.min() }

    /// A deadline that has passed; the most serious first.
    func due(at now: Monotonic) -> Due? { Due.allCases.first { due in self[due].map { $0 <= now } ?? false } }
}
