import LinuxSystem
import Testing

@testable import GRPC

struct CallerIDTests {
    private let digest = [UInt8](repeating: 1, count: 31) + [2]

    @Test("A key, a subject, an address and a user are callers, and never the same one")
    func kinds() {
        let all: [CallerID?] = [
            .key(sha256: digest), .subject(["alice"]), .origin(.ipv4(0x0101_0101)),
            .origin(.ipv6(network: 0x0101_0101, interface: 0)), .origin(.user(0x0101_0101)), .origin(.unknown),
        ]
        #expect(Set(all).count == all.count)
    }

    @Test("A subject is all of its names, and nobody in particular is none")
    func subjects() {
        #expect(CallerID.subject(["alice", "b"]) == CallerID.subject(["alice", "b"]))
        #expect(CallerID.subject(["alice", "b"]) != CallerID.subject(["aliceb"]))
        #expect(CallerID.subject(["alice"]) != CallerID.subject(["alice", "b"]))
        #expect(CallerID.subject([]) == nil)
    }

    @Test("A caller is described without what it proves itself with")
    func description() {
        #expect(CallerID.origin(.ipv4(0xc000_0201)).description == "address 192.0.2.1")
        #expect(
            CallerID.origin(.ipv6(network: 0x2001_0db8_0001_0002, interface: 0)).description
                == "network 2001:db8:1:2::/64")
        #expect(CallerID.origin(.user(1000)).description == "user 1000")
        #expect(CallerID.key(sha256: digest).description == "key 101010101010101")
    }
}
