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
    /// The peer must have sent something, or gets a PING; nil when it has one to answer, or none is ever sent.
    var quietEnds: Monotonic?
    /// The PING must have been answered; nil when none is under way.
    var keepaliveEnds: Monotonic?
    /// The connection takes no new streams; nil when it never ends so, or has.
    var ageEnds: Monotonic?
    /// Its last streams must have ended; nil when they may go on.
    var ageGraceEnds: Monotonic?
    /// GOAWAY's last word must be said; nil when none is due.
    var drainEnds: Monotonic?
    /// Calls that are over must have been read on; nil while it takes new ones.
    var unreadEnds: Monotonic?
    /// The peer must have closed, all being said; nil until then.
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

    /// What the peer must send by then may be there, and was not looked at: waits longer for it.
    mutating func putOff(_ due: Due, until moment: Monotonic) {
        switch due {
        case .handshake: handshakeEnds = moment
        case .headers: headersEnd = moment
        case .keepalive: keepaliveEnds = moment
        case .stall, .quiet, .idle, .age, .ageGrace, .drain, .unread, .linger: break
        }
    }

    /// The next moment to look again.
    var next: Monotonic? { Due.allCases.compactMap { self[$0] }.min() }

    /// What has been waited for too long; the most serious first.
    func due(at now: Monotonic) -> Due? { Due.allCases.first { due in self[due].map { $0 <= now } ?? false } }
}
