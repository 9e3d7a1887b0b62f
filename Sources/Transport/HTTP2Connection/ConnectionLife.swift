/// The life of one connection, from its socket to its end: the phase it is in, and what each event makes of that. Pure.
///
/// Its driver (`HTTP2Connection`) tells it what happened and does what it returns. An event that means nothing in the phase it
/// comes in does nothing. No part of it is what reading and writing wait for: a socket that takes nothing, a share of a turn or
/// a caller's steps that are used up. Those come and go in any phase that carries bytes, and lead to no other.
struct ConnectionLife: Equatable {
    enum Phase: Equatable {
        /// The client's socket is not connected yet.
        case connecting
        /// TLS waits for the peer; on a server it may not have begun.
        case handshake(hasBegun: Bool)
        /// The peer has sent something, and TLS waits for its turn; only on a server.
        case handshakeLine(hasBegun: Bool)
        /// Bytes go both ways, and the peer's SETTINGS have not come.
        case greeting
        /// The peer speaks HTTP/2.
        case open(GoAway)
        /// The last stream has ended, and the client is to close first: some (HAProxy 2.6) cut short what they are still passing
        /// on when they see the connection's end behind it. Only on a server.
        case lingering(GoAway)
        /// It ends at this turn's end, or when what is ready to be sent has left; nothing is read any more.
        indirect case ending(Ending, Farewell)
        case over
    }

    /// How far it has come that one end takes no new streams (RFC 9113, section 6.8).
    enum GoAway: Equatable {
        /// Both take them.
        case unsaid
        /// The peer has said so. Once we have begun to, its word changes nothing: so there is no case for both.
        case received
        /// We have announced it; streams that are under way are still taken. With the reason, for the last word.
        case noticed(String)
        /// Our last word is to be said as soon as the socket takes it.
        case due(String)
        /// It was said.
        case said
    }

    /// What leaves before the socket is closed, as far as it takes that at once.
    enum Farewell: Equatable {
        /// Nothing: the socket or TLS cannot carry it yet.
        case nothing
        /// What is ready. GOAWAY's last word was said before.
        case rest
        /// What is ready, and GOAWAY.
        case goAway
    }

    private(set) var phase: Phase
    private let isServer: Bool
    private let hasTLS: Bool
    /// A server may wait for the client to close.
    private let mayLinger: Bool

    init(_ role: HTTP2Connection.Role, isConnecting: Bool, hasTLS: Bool, mayLinger: Bool) {
        isServer = role == .server
        self.hasTLS = hasTLS
        self.mayLinger = mayLinger
        phase = .connecting
        if !isConnecting { connected() }
    }
}

// MARK: - What holds in a phase

extension ConnectionLife {
    /// Bytes go both ways.
    var carriesBytes: Bool {
        switch phase {
        case .connecting, .handshake, .handshakeLine, .ending(_, .nothing), .over: false
        case .greeting, .open, .lingering, .ending: true
        }
    }

    /// What the peer sends is read and looked at.
    var takesInput: Bool {
        switch phase {
        case .greeting, .open, .lingering: true
        case .connecting, .handshake, .handshakeLine, .ending, .over: false
        }
    }

    /// Whether a client may begin a request; before the connection is open it waits for that.
    var takesRequests: Bool {
        switch phase {
        case .connecting, .handshake, .handshakeLine, .greeting, .open(.unsaid): true
        case .open, .lingering, .ending, .over: false
        }
    }

    /// The peer has shown that it speaks HTTP/2, and the connection does not end yet.
    var isOpen: Bool {
        switch phase {
        case .open, .lingering: true
        case .connecting, .handshake, .handshakeLine, .greeting, .ending, .over: false
        }
    }

    /// How it ends, if it does.
    var ending: Ending? { if case .ending(let ending, _) = phase { ending } else { nil } }

    // Asked for each token. The comparison of whole phases costs a call.
    var isOver: Bool { if case .over = phase { true } else { false } }

    var isConnecting: Bool { if case .connecting = phase { true } else { false } }

    var isLingering: Bool { if case .lingering = phase { true } else { false } }

    /// TLS has taken a step, or takes none any more.
    var hasBegunHandshake: Bool {
        switch phase {
        case .connecting, .handshake(hasBegun: false), .handshakeLine(hasBegun: false): false
        case .handshake, .handshakeLine, .greeting, .open, .lingering, .ending, .over: true
        }
    }
}

// MARK: - The beginning

extension ConnectionLife {
    mutating func connected() {
        guard isConnecting else { return }
        phase = hasTLS ? .handshake(hasBegun: false) : .greeting
    }

    enum ReadyStep: Equatable {
        /// The socket's bytes are read and written.
        case carry
        /// TLS takes its next step.
        case shakeHands
        /// TLS asks for its turn, and nothing is looked at before that.
        case standInLine
        /// Who has asked for a handshake is gone.
        case lost
        case nothing
    }

    /// The connected socket is ready; `isBroken`: nobody reads at its other end any more.
    mutating func socketReady(isBroken: Bool) -> ReadyStep {
        switch phase {
        case .greeting, .open, .lingering, .ending(_, .rest), .ending(_, .goAway): return .carry
        case .handshake where !isServer: return .shakeHands
        case .handshake where isBroken, .handshakeLine where isBroken: return .lost
        case .handshake(let hasBegun):
            phase = .handshakeLine(hasBegun: hasBegun)
            return .standInLine
        case .connecting, .handshakeLine, .ending, .over: return .nothing
        }
    }

    /// It is the connection's turn in the line; whether TLS takes its next step.
    mutating func turnCame() -> Bool {
        guard case .handshakeLine = phase else { return false }
        phase = .handshake(hasBegun: true)
        return true
    }

    /// TLS can carry bytes.
    mutating func secured() {
        if case .handshake = phase { phase = .greeting }
    }

    /// The peer's SETTINGS have come; whether these are the first.
    mutating func settingsCame() -> Bool {
        guard phase == .greeting else { return false }
        phase = .open(.unsaid)
        return true
    }
}

// MARK: - The end

extension ConnectionLife {
    /// The peer's GOAWAY has come.
    mutating func goAwayCame() {
        if phase == .open(.unsaid) { phase = .open(.received) }
    }

    enum DrainStep: Equatable {
        /// Announces that no new streams are taken, and asks the peer to say when it knows.
        case giveNotice
        /// The last word is due at once: a peer that ends the connection itself is given no notice.
        case sayLastWord
        case nothing
    }

    /// No new streams are to be taken, for this reason, which is for the peer's log. Only a server can do so, and not before it
    /// is open: that is the time to ask for it.
    mutating func drain(_ reason: String) -> DrainStep {
        guard isServer else { return .nothing }
        switch phase {
        case .open(.unsaid):
            phase = .open(.noticed(reason))
            return .giveNotice
        case .open(.received):
            phase = .open(.due(reason))
            return .sayLastWord
        case .lingering(.received):
            phase = .lingering(.due(reason))
            return .sayLastWord
        default: return .nothing
        }
    }

    /// The peer knows that no new streams are taken, or had time to: those that it had begun have come by now, or come in
    /// what is being read. Whether the last word is due.
    mutating func noticeTaken() -> Bool {
        guard case .open(.noticed(let reason)) = phase else { return false }
        phase = .open(.due(reason))
        return true
    }

    /// The socket takes something. The reason that the last word gives, which is then said, if it is due.
    mutating func lastWord() -> String? {
        switch phase {
        case .open(.due(let reason)):
            phase = .open(.said)
            return reason
        case .lingering(.due(let reason)):
            phase = .lingering(.said)
            return reason
        default: return nil
        }
    }

    enum StreamsEndStep: Equatable {
        /// Waits for the client to close.
        case linger
        case close
        case nothing
    }

    /// There is no stream. After GOAWAY that is the connection's end.
    mutating func hasNoStreams() -> StreamsEndStep {
        guard case .open(let goAway) = phase, goAway == .said || goAway == .received else { return .nothing }
        guard isServer, mayLinger else { return .close }
        phase = .lingering(goAway)
        return .linger
    }

    /// It is to end; whether that is new.
    mutating func end(_ ending: Ending) -> Bool {
        switch phase {
        case .connecting, .handshake, .handshakeLine: phase = .ending(ending, .nothing)
        case .open(.said) where ending.code == .noError, .lingering(.said) where ending.code == .noError:
            phase = .ending(ending, .rest)
        case .greeting, .open, .lingering: phase = .ending(ending, .goAway)
        case .ending, .over: return false
        }
        return true
    }

    /// It has ended; whether that is new.
    mutating func ended() -> Bool {
        defer { phase = .over }
        return !isOver
    }
}

/// What GOAWAY says when a connection is closed, and what its streams hear.
struct Ending: Equatable {
    let code: HTTP2ErrorCode
    let failure: ConnectionFailure
    /// GOAWAY's additional debug data (RFC 9113, section 6.8).
    let debugData: String

    init(code: HTTP2ErrorCode, failure: ConnectionFailure, debugData: String? = nil) {
        self.code = code
        self.failure = failure
        self.debugData = debugData ?? failure.description
    }
}
