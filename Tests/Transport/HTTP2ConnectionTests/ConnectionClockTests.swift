import LinuxSystem
import Testing

@testable import HTTP2Connection

struct ConnectionClockTests {
    private typealias Due = ConnectionClock.Due

    private static func moment(_ number: Int) -> Monotonic { Monotonic(nanoseconds: UInt64(number)) }

    /// A clock on which these are due at these moments.
    private static func clock(_ moments: [Due: Int]) -> ConnectionClock {
        var clock = ConnectionClock()
        for (due, number) in moments {
            let moment = moment(number)
            switch due {
            case .handshake: clock.handshakeEnds = moment
            case .headers: clock.headersEnd = moment
            case .stall: clock.stallEnds = moment
            case .keepalive: clock.keepaliveEnds = moment
            case .quiet: clock.quietEnds = moment
            case .idle: clock.idleEnds = moment
            case .age: clock.ageEnds = moment
            case .ageGrace: clock.ageGraceEnds = moment
            case .drain: clock.drainEnds = moment
            case .unread: clock.unreadEnds = moment
            case .linger: clock.lingerEnds = moment
            }
        }
        return clock
    }

    @Test("A clock on which nothing is set waits for nothing")
    func empty() {
        #expect(ConnectionClock().next == nil)
        #expect(ConnectionClock().due(at: .now()) == nil)
    }

    @Test("Each thing is due at its moment, and not before", arguments: ConnectionClock.Due.allCases)
    func each(due: ConnectionClock.Due) {
        let clock = Self.clock([due: 20])
        #expect(clock.next == Self.moment(20))
        #expect(clock.due(at: Self.moment(19)) == nil)
        #expect(clock.due(at: Self.moment(20)) == due)
        #expect(clock.due(at: Self.moment(21)) == due)
    }

    @Test("Of two, the earlier one is next; of two that are due, the more serious one comes first")
    func pairs() {
        for (rank, first) in Due.allCases.enumerated() {
            for second in Due.allCases[(rank + 1)...] {
                for (firstMoment, secondMoment) in [(10, 20), (20, 10), (10, 10)] {
                    let clock = Self.clock([first: firstMoment, second: secondMoment])
                    #expect(clock.next == Self.moment(10))
                    if firstMoment != secondMoment {
                        #expect(clock.due(at: Self.moment(10)) == (firstMoment == 10 ? first : second))
                    }
                    #expect(clock.due(at: Self.moment(20)) == first)
                }
            }
        }
    }

    @Test("What ends a connection comes before what only changes it")
    func order() throws {
        let ranks = Dictionary(uniqueKeysWithValues: Due.allCases.enumerated().map { ($1, $0) })
        for ending in [Due.handshake, .headers, .stall, .keepalive] {
            for change in [Due.quiet, .idle, .age, .drain] {
                #expect(try #require(ranks[ending]) < #require(ranks[change]))
            }
        }
    }

    @Test("What the peer must send can be waited for longer; what it must take, and what only we do, cannot")
    func putOff() {
        for due in Due.allCases {
            var clock = Self.clock([due: 10])
            clock.putOff(due, until: Self.moment(20))
            let isFromPeer = [.handshake, .headers, .keepalive].contains(due)
            #expect(clock[due] == Self.moment(isFromPeer ? 20 : 10), "\(due)")
        }
    }
}
