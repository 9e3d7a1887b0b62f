import LinuxSystem
import Testing

@testable import GRPC

struct HandshakeLineTests {
    private static func caller(_ number: Int) -> CallerID { .origin(.ipv4(UInt32(number))) }

    /// Who goes on next, if its caller may.
    private static func next(_ line: inout HandshakeLine<String>) -> String? {
        line.nextCaller().flatMap { line.popFirst(of: $0) }
    }

    @Test func `callers take turns, however many handshakes each of them has`() {
        var line = HandshakeLine<String>()
        for number in 0..<5 { _ = line.append("flood \(number)", of: Self.caller(1)) }
        _ = line.append("honest", of: Self.caller(2))
        var served: [String] = []
        while let waiter = Self.next(&line) { served.append(waiter) }
        #expect(served == ["flood 0", "honest", "flood 1", "flood 2", "flood 3", "flood 4"])
        #expect(!line.hasNext)
    }

    @Test func `a parked caller's handshakes wait, and lose nothing, while others go on`() {
        var line = HandshakeLine<String>()
        for number in 0..<2 { _ = line.append("flood \(number)", of: Self.caller(1)) }
        _ = line.append("honest", of: Self.caller(2))
        #expect(line.nextCaller() == Self.caller(1))
        line.park(Self.caller(1))
        _ = line.append("flood 2", of: Self.caller(1))
        #expect(Self.next(&line) == "honest")
        #expect(!line.hasNext)
        #expect(Self.next(&line) == nil)
        line.unpark(Self.caller(1))
        var served: [String] = []
        while let waiter = Self.next(&line) { served.append(waiter) }
        #expect(served == ["flood 0", "flood 1", "flood 2"])
    }

    @Test func `who leaves is not served, and a caller without anybody is not in the way`() {
        var line = HandshakeLine<String>()
        let gone = line.append("gone", of: Self.caller(1))
        _ = line.append("honest", of: Self.caller(2))
        line.remove(gone)
        #expect(Self.next(&line) == "honest")
        #expect(Self.next(&line) == nil)
        _ = line.append("again", of: Self.caller(1))
        #expect(Self.next(&line) == "again")
    }

    @Test func `a caller that was parked and whose handshakes have all left begins anew`() {
        var line = HandshakeLine<String>()
        let gone = line.append("gone", of: Self.caller(1))
        #expect(line.nextCaller() == Self.caller(1))
        line.park(Self.caller(1))
        line.remove(gone)
        line.unpark(Self.caller(1))
        #expect(Self.next(&line) == nil)
        _ = line.append("new", of: Self.caller(1))
        #expect(Self.next(&line) == "new")
    }
}
