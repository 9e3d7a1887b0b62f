import HTTP2Connection
import LinuxSystem
import Testing

struct PingStrikesTests {
    private enum Event {
        case ping(UInt64)
        case idlePing(UInt64)
        case sent
    }

    /// Which of the pings among these events, at these milliseconds, may be sent: 10 ms apart, 50 ms without streams, with two strikes.
    private func allowed(_ events: [Event]) -> [Bool] {
        var limits = HTTP2Limits()
        limits.pingIntervalMillisecondsMin = 10
        limits.idlePingIntervalMillisecondsMin = 50
        limits.pingStrikesMax = 2
        var pings = PingStrikes(limits)
        func moment(_ milliseconds: UInt64) -> Monotonic {
            Monotonic(nanoseconds: 5_000_000_000).advanced(milliseconds: milliseconds)
        }
        return events.compactMap { event in
            switch event {
            case .ping(let time): return pings.received(at: moment(time), hasStreams: true)
            case .idlePing(let time): return pings.received(at: moment(time), hasStreams: false)
            case .sent:
                pings.pardon()
                return nil
            }
        }
    }

    @Test("Pings that keep their distance may go on for ever")
    func distant() {
        #expect(allowed((0..<1_000).map { .ping($0 * 10) }).allSatisfy { $0 })
        #expect(allowed((0..<1_000).map { .idlePing($0 * 50) }).allSatisfy { $0 })
    }

    @Test("The third that comes too soon is one too many")
    func strikes() {
        #expect(allowed([.ping(0), .ping(9), .ping(18), .ping(27)]) == [true, true, true, false])
        #expect(allowed([.ping(0), .ping(0), .ping(10), .ping(11), .ping(12)]) == [true, true, true, true, false])
    }

    @Test("Without a stream they must be further apart")
    func idle() {
        #expect(allowed([.idlePing(0), .idlePing(49), .idlePing(98), .idlePing(147)]) == [true, true, true, false])
        #expect(allowed([.ping(0), .ping(10), .idlePing(20), .ping(30), .ping(40)]).allSatisfy { $0 })
    }

    @Test("What we send pardons all, so that every answer to it is free")
    func pardoned() {
        #expect(allowed((0..<1_000).flatMap { _ in [.sent, .ping(0), .ping(0), .ping(0)] }).allSatisfy { $0 })
        #expect(allowed([.sent, .ping(0), .ping(0), .ping(0), .ping(0)]) == [true, true, true, false])
    }
}
