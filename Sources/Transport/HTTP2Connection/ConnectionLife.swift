/// The state machine of one connection, from its socket to its end: its phase, and the transition for each event. Pure.
///
/// Its driver (`HTTP2Connection`) tells it what happened and does what it returns. An event without meaning in the
/// current phase does nothing. It has no states for what reading and writing wait for (a blocked socket, a share of a
/// turn or a caller's steps that are used up): those come and go in any phase that carries bytes, and lead to no other
/// phase.
struct ConnectionLife: Equatable {
    enum Phase: Equatable {
        /// The client's socket is not connected yet.
        case connecting
        /// TLS waits for the peer; on a server it may not have begun.
        case handshake(hasBegun: Bool)
        /// The peer has sent something, and TLS waits for its turn; only on a server.
        case handshakeLine(hasBegun: Bool)
        /// Bytes go in both directions, and the peer's SETTINGS have not come.
        case greeting
        /// The peer's SETTINGS have come.
        case open(GoAway)
        /// The last stream has ended, and the client must close first: some clients (HAProxy 2.6) truncate what they
        /// still forward when they see the connection's end behind it. Only on a server.
        case lingering(GoAway)
        /// The connection ends at the end of this turn, or when the bytes that are ready were sent; nothing is read any
        /// more.
        indirect case ending(Ending, Farewell)
        case over
    }

    /// How far the end of new streams has been announced (RFC 9113, section 6.8).
    enum GoAway: Equatable {
        /// Neither end has sent GOAWAY.
        case unsaid
        /// The peer has sent GOAWAY. Once we have begun to send ours, the peer's changes nothing, so there is no case
        /// for both.
        case received
        /// We have sent the first GOAWAY, the notice; streams that are under way are still accepted. With the reason
        /// for the final one.
        case noticed(String)
        /// Our final GOAWAY must be sent as soon as the socket accepts it.
        case due(String)
        /// Our final GOAWAY was sent.
        case said
    }

    /// What is sent before the socket is closed, as far as the socket accepts it at once.
    enum Farewell: Equatable {
        /// Nothing: the socket or TLS cannot carry it yet.
        case nothing
        /// The bytes that are ready. The final GOAWAY was sent before.
        case rest
        /// The bytes that are ready, and GOAWAY.
        case goAway
    }

    private(set) var phase: Phase
    private let isServer: Bool
    private let hasTLS: Bool
    /// Whether a server waits for the client to close.
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
    /// Whether bytes go in both directions.
    var carriesBytes: Bool {
        switch phase {
        case .connecting, .handshake, .handshakeLine, .ending(_, .nothing), .over: false
        case .greeting, .open, .lingering, .ending: true
        }
    }

    /// Whether input is read and parsed.
    var takesInput: Bool {
        switch phase {
        case .greeting, .open, .lingering: true
        case .connecting, .handshake, .handshakeLine, .ending, .over: false
        }
    }

    /// Whether a client may begin a request; a request begun before the connection is open waits for that.
    var takesRequests: Bool {
        switch phase {
        case .connecting, .handshake, .handshakeLine, .greeting, .open(.unsaid): true
        case .open, .lingering, .ending, .over: false
        }
    }

    /// Whether the peer has shown that it speaks HTTP/2, and the connection is not ending.
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

    /// Whether TLS has taken a step, or needs none any more.
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
        /// Queue for the handshake; nothing is read before its turn.
        case standInLine
        /// The client that asked for a handshake is gone.
        case lost
        case nothing
    }

    /// The connected socket is ready; `isBroken`: its other end no longer reads.
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

    /// It is the connection's turn in the queue; returns whether TLS takes its next step.
    mutating func turnCame() -> Bool {
        guard case .handshakeLine = phase else { return false }
        phase = .handshake(hasBegun: true)
        return true
    }

    /// TLS can carry bytes.
    mutating func secured() {
        if case .handshake = phase { phase = .greeting }
    }

    /// The peer's SETTINGS have come; returns whether these are the first.
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
        /// Sends the notice (GOAWAY), and a PING whose answer shows that the peer has it.
        case giveNotice
        /// The final GOAWAY is due at once: a peer that ends the connection itself gets no notice.
        case sayLastWord
        case nothing
    }

    /// Begins to refuse new streams; the reason is for the peer's log. Only for a server whose connection is open;
    /// before that it does nothing.
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

    /// The peer has the notice, or had time to get it: the streams that it had begun have come, or come in the bytes
    /// being read. Returns whether the final GOAWAY is due.
    mutating func noticeTaken() -> Bool {
        guard case .open(.noticed(let reason)) = phase else { return false }
        phase = .open(.due(reason))
        return true
    }

    /// The socket is writable. Returns the reason for the final GOAWAY if that is due; it then counts as sent.
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

    /// There is no stream. After GOAWAY the connection then ends.
    mutating func hasNoStreams() -> StreamsEndStep {
        guard case .open(let goAway) = phase, goAway == .said || goAway == .received else { return .nothing }
        guard isServer, mayLinger else { return .close }
        phase = .lingering(goAway)
        return .linger
    }

    /// The connection is to end; returns whether that is new.
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

    /// The connection has ended; returns whether that is new.
    mutating func ended() -> Bool {
        defer { phase = .over }
        return !isOver
    }
}

/// How a connection is closed: the contents of GOAWAY, and the failure that its streams are told.
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
