import Testing

@testable import HTTP2Connection

/// Every phase, and every event in it.
struct ConnectionLifeTests {
    private typealias Phase = ConnectionLife.Phase

    private enum Event: Hashable, CaseIterable {
        case connected, socketReady, socketBroken, turnCame, secured, settingsCame, goAwayCame, drain, noticeTaken,
            lastWord, hasNoStreams, end, endWithError, ended
    }

    /// What a transition returns.
    private enum Answer: Equatable {
        case nothing, isNew
        case ready(ConnectionLife.ReadyStep)
        case drain(ConnectionLife.DrainStep)
        case streamsEnd(ConnectionLife.StreamsEndStep)
        case word(String)
    }

    private struct Outcome: Equatable {
        let phase: Phase
        let answer: Answer

        init(_ phase: Phase, _ answer: Answer = .isNew) {
            self.phase = phase
            self.answer = answer
        }
    }

    private static let closed = Ending(code: .noError, failure: ConnectionFailure(.closed, "it was closed"))
    private static let broken = Ending(code: .protocolError, failure: ConnectionFailure(.violation, "it was broken"))

    private static func apply(_ event: Event, to life: inout ConnectionLife) -> Answer {
        switch event {
        case .connected: life.connected()
        case .socketReady: return step(life.socketReady(isBroken: false))
        case .socketBroken: return step(life.socketReady(isBroken: true))
        case .turnCame: return life.turnCame() ? .isNew : .nothing
        case .secured: life.secured()
        case .settingsCame: return life.settingsCame() ? .isNew : .nothing
        case .goAwayCame: life.goAwayCame()
        case .drain:
            let step = life.drain("age")
            return step == .nothing ? .nothing : .drain(step)
        case .noticeTaken: return life.noticeTaken() ? .isNew : .nothing
        case .lastWord: return life.lastWord().map { .word($0) } ?? .nothing
        case .hasNoStreams:
            let step = life.hasNoStreams()
            return step == .nothing ? .nothing : .streamsEnd(step)
        case .end: return life.end(closed) ? .isNew : .nothing
        case .endWithError: return life.end(broken) ? .isNew : .nothing
        case .ended: return life.ended() ? .isNew : .nothing
        }
        return .nothing
    }

    private static func step(_ step: ConnectionLife.ReadyStep) -> Answer { step == .nothing ? .nothing : .ready(step) }

    struct Kind: CustomTestStringConvertible {
        let role: HTTP2Connection.Role
        let hasTLS: Bool
        let mayLinger: Bool
        var isServer: Bool { role == .server }

        var life: ConnectionLife {
            ConnectionLife(role, isConnecting: !isServer, hasTLS: hasTLS, mayLinger: mayLinger)
        }

        var testDescription: String { "\(role)\(hasTLS ? ", TLS" : "")\(mayLinger ? ", may linger" : "")" }

        static let all = [HTTP2Connection.Role.server, .client].flatMap { role in
            [false, true].flatMap { hasTLS in
                [false, true].map { Kind(role: role, hasTLS: hasTLS, mayLinger: $0) }
            }
        }
    }

    /// What is to come of an event; nil: it changes nothing and asks for nothing.
    private static func expected(_ event: Event, in phase: Phase, of kind: Kind) -> Outcome? {
        switch (phase, event) {
        case (.over, _): nil
        case (_, .ended): Outcome(.over)

        case (.ending(_, .nothing), _): nil
        case (.ending, .socketReady), (.ending, .socketBroken): Outcome(phase, .ready(.carry))
        case (.ending, _): nil

        case (.connecting, .connected): Outcome(kind.hasTLS ? .handshake(hasBegun: false) : .greeting, .nothing)

        case (.handshake(let hasBegun), .socketReady) where kind.isServer:
            Outcome(.handshakeLine(hasBegun: hasBegun), .ready(.standInLine))
        case (.handshake, .socketBroken) where kind.isServer: Outcome(phase, .ready(.lost))
        case (.handshake, .socketReady), (.handshake, .socketBroken): Outcome(phase, .ready(.shakeHands))
        case (.handshake, .secured): Outcome(.greeting, .nothing)
        case (.handshakeLine, .socketBroken): Outcome(phase, .ready(.lost))
        case (.handshakeLine, .turnCame): Outcome(.handshake(hasBegun: true))
        case (.connecting, .end), (.handshake, .end), (.handshakeLine, .end): Outcome(.ending(closed, .nothing))
        case (.connecting, .endWithError), (.handshake, .endWithError), (.handshakeLine, .endWithError):
            Outcome(.ending(broken, .nothing))
        case (.connecting, _), (.handshake, _), (.handshakeLine, _): nil

        // From here on bytes go both ways.
        case (_, .socketReady), (_, .socketBroken): Outcome(phase, .ready(.carry))
        case (.open(.said), .end), (.lingering(.said), .end): Outcome(.ending(closed, .rest))
        case (_, .end): Outcome(.ending(closed, .goAway))
        case (_, .endWithError): Outcome(.ending(broken, .goAway))

        case (.greeting, .settingsCame): Outcome(.open(.unsaid))
        case (.greeting, _): nil

        case (.open(.unsaid), .goAwayCame): Outcome(.open(.received), .nothing)
        case (.open(.unsaid), .drain) where kind.isServer: Outcome(.open(.noticed("age")), .drain(.giveNotice))
        case (.open(.received), .drain) where kind.isServer: Outcome(.open(.due("age")), .drain(.sayLastWord))
        case (.open(.noticed(let reason)), .noticeTaken): Outcome(.open(.due(reason)))
        case (.open(.due(let reason)), .lastWord): Outcome(.open(.said), .word(reason))
        case (.open(let goAway), .hasNoStreams) where goAway == .received || goAway == .said:
            kind.isServer && kind.mayLinger
                ? Outcome(.lingering(goAway), .streamsEnd(.linger)) : Outcome(phase, .streamsEnd(.close))
        case (.open, _): nil

        case (.lingering(.received), .drain): Outcome(.lingering(.due("age")), .drain(.sayLastWord))
        case (.lingering(.due(let reason)), .lastWord): Outcome(.lingering(.said), .word(reason))
        case (.lingering, _): nil
        }
    }

    /// Follows every event from every state that can be reached, shows each to `check`, and returns the states.
    private static func explore(
        _ kind: Kind, _ check: (ConnectionLife, Event, Answer, _ after: ConnectionLife) -> Void = { _, _, _, _ in }
    ) -> [ConnectionLife] {
        var known = [kind.life]
        var next = 0
        while next < known.count {
            let before = known[next]
            next += 1
            for event in Event.allCases {
                var after = before
                let answer = apply(event, to: &after)
                check(before, event, answer, after)
                if !known.contains(after) { known.append(after) }
            }
        }
        return known
    }

    @Test("An event does in each phase what it is to do there, and else nothing", arguments: Kind.all)
    func each(kind: Kind) {
        _ = Self.explore(kind) { before, event, answer, after in
            let expected = Self.expected(event, in: before.phase, of: kind) ?? Outcome(before.phase, .nothing)
            #expect(Outcome(after.phase, answer) == expected, "\(event) in \(before.phase)")
        }
    }

    @Test("A life has the phases that its role, TLS and its limits give it, and no others", arguments: Kind.all)
    func phases(kind: Kind) {
        var expected: [Phase] = [.greeting, .open(.unsaid), .open(.received), .over]
        expected += [.ending(Self.closed, .goAway), .ending(Self.broken, .goAway)]
        if !kind.isServer { expected.append(.connecting) }
        if kind.hasTLS { expected.append(.handshake(hasBegun: false)) }
        if !kind.isServer || kind.hasTLS {
            expected += [.ending(Self.closed, .nothing), .ending(Self.broken, .nothing)]
        }
        if kind.isServer {
            expected += [.open(.noticed("age")), .open(.due("age")), .open(.said), .ending(Self.closed, .rest)]
            if kind.hasTLS {
                expected += [.handshakeLine(hasBegun: false), .handshakeLine(hasBegun: true)]
                expected.append(.handshake(hasBegun: true))
            }
            if kind.mayLinger { expected += [.lingering(.received), .lingering(.due("age")), .lingering(.said)] }
        }
        let phases = Self.explore(kind).map(\.phase)
        #expect(phases.count == expected.count)
        for phase in expected { #expect(phases.contains(phase), "\(phase)") }
    }

    @Test("What is read was secured, and who is told to go is not read and asks for nothing", arguments: Kind.all)
    func properties(kind: Kind) {
        for life in Self.explore(kind) {
            #expect(!life.takesInput || life.carriesBytes, "\(life.phase)")
            #expect(!life.isOpen || life.takesInput, "\(life.phase)")
            #expect(!life.isLingering || life.isOpen, "\(life.phase)")
            #expect(!life.carriesBytes || life.hasBegunHandshake, "\(life.phase)")
            #expect(life.ending == nil || !life.takesInput && !life.takesRequests, "\(life.phase)")
            #expect(!life.isOver || !life.carriesBytes && !life.takesRequests && life.ending == nil, "\(life.phase)")
            switch life.phase {
            case .connecting, .handshake, .handshakeLine:
                #expect(!life.carriesBytes && !life.isOpen && life.takesRequests)
            case .greeting: #expect(life.takesInput && !life.isOpen && life.takesRequests)
            case .open(let goAway): #expect(life.isOpen && life.takesRequests == (goAway == .unsaid))
            case .lingering: #expect(life.isLingering && !life.takesRequests)
            case .ending(_, let farewell): #expect(life.carriesBytes == (farewell != .nothing))
            case .over: #expect(life.isOver)
            }
            #expect(life.isConnecting == (life.phase == .connecting))
        }
    }

    @Test("A handshake that has not begun has taken no step, and one that has been in the line has")
    func handshake() {
        var life = Kind(role: .server, hasTLS: true, mayLinger: true).life
        #expect(!life.hasBegunHandshake)
        #expect(life.socketReady(isBroken: false) == .standInLine)
        #expect(!life.hasBegunHandshake)
        #expect(life.turnCame() && life.hasBegunHandshake)
        #expect(life.socketReady(isBroken: false) == .standInLine)
        #expect(life.hasBegunHandshake)
    }
}
