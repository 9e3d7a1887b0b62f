import Glibc
import Testing

@testable import LinuxSystem

struct PeerOriginTests {
    /// What the accepting end of a connection knows of the other end, which sends nothing.
    private func origin(listeningOn address: SocketAddress) throws -> PeerOrigin {
        try Socket.listen(on: address).take { listener, bound in
            let client = try Socket.connect(to: bound)
            defer { withExtendedLifetime(client) {} }
            while true {
                _ = try Poll.wait(listener.raw, for: .readable, nanoseconds: nil)
                if let accepted = try Socket.accept(listener) { return Socket.origin(of: accepted.raw) }
            }
        }
    }

    @Test("A TCP connection comes from an address, whatever its port, before anything was sent")
    func address() throws {
        #expect(try origin(listeningOn: .internet(host: "127.0.0.1", port: 0)) == .ipv4(0x7f00_0001))
    }

    @Test("A connection on a Unix socket comes from a user, before anything was sent")
    func user() throws {
        let path = "/tmp/hearth-origin-\(getpid())"
        defer { unlink(path) }
        #expect(try origin(listeningOn: .unix(path: path)) == .user(SystemUser.currentID))
    }

    @Test("An IPv6 address is its first half, a link-local one with its interface, and IPv4 in it is IPv4")
    func ipv6() {
        func origin(_ text: String, interface: UInt32 = 0) -> PeerOrigin {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = 1234
            address.sin6_scope_id = interface
            #expect(inet_pton(AF_INET6, text, &address.sin6_addr) == 1)
            return withUnsafeBytes(of: &address) { Socket.origin(ofIPv6: $0) }
        }
        #expect(origin("2001:db8:1:2:3:4:5:6") == .ipv6(network: 0x2001_0db8_0001_0002, interface: 0))
        #expect(origin("2001:db8:1:2::1") == origin("2001:db8:1:2:ffff::9"))
        #expect(origin("2001:db8:1:2::1") != origin("2001:db8:1:3::1"))
        #expect(origin("fe80::1", interface: 2) == origin("fe80::2", interface: 2))
        #expect(origin("fe80::1", interface: 2) != origin("fe80::1", interface: 3))
        #expect(origin("::ffff:192.0.2.1") == .ipv4(0xc000_0201))
        #expect(origin("64:ff9b::192.0.2.1") == .ipv4(0xc000_0201))
        #expect(origin("64:ff9b:1::192.0.2.1") == .ipv6(network: 0x0064_ff9b_0001_0000, interface: 0))
        #expect(origin("::1") == .ipv6(network: 0, interface: 0))
    }

    @Test("What is no socket comes from nowhere")
    func unknown() throws {
        let file = try Descriptor.open("/dev/null", O_RDONLY)
        #expect(Socket.origin(of: file.raw) == .unknown)
    }
}
