import LinuxSystem
import Testing

struct SocketAddressTests {
    @Test(arguments: [
        "127.0.0.1:50051", "localhost:0", "[::1]:65535", "unix:/run/hearth.sock", "0.0.0.0:1", "[::]:0",
        "[::ffff:127.0.0.1]:1",
        "[fe80::1%eth0]:1", "[febf::1%3]:1",
    ])
    func `an address is printed as it was read`(text: String) throws {
        #expect(try SocketAddress(text).description == text)
    }

    @Test(arguments: [
        "", "50051", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":80", "::1:80", "unix:",
        "[]:80", "[localhost]:80", "[127.0.0.1]:80", "[::1%lo]:80", "[fe80::1]:80", "[fe80::1%]:80", "[fe80::%1%]x:80",
        "fe80::1%eth0:80",
    ])
    func `what is no address is refused with an example of one`(text: String) {
        #expect(throws: SocketAddressError.self) { try SocketAddress(text) }
    }

    @Test func `a Unix path that the kernel cannot hold is refused`() {
        let path = String(repeating: "x", count: 108)
        #expect(throws: SocketAddressError.self) { try SocketAddress("unix:" + path) }
        #expect(throws: Never.self) { try SocketAddress("unix:" + path.dropLast()) }
    }

    @Test func `only loopback and Unix sockets are local`() throws {
        for local in [
            "127.0.0.1:1", "127.255.0.9:1", "[::1]:1", "localhost:1", "unix:/x", "[0:0:0::1]:1", "[::ffff:127.0.0.1]:1",
        ] {
            #expect(try SocketAddress(local).isLocal, "\(local)")
        }
        for open in [
            "0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.evil.example:1", "example.org:1", "[::ffff:10.0.0.1]:1",
            "[fe80::1%lo]:1", "[::127.0.0.1]:1",
        ] {
            #expect(try !SocketAddress(open).isLocal, "\(open)")
        }
    }

    @Test func `other machines hear of a host without its interface`() throws {
        #expect(try SocketAddress("[fe80::1%eth0]:1").hostWithoutInterface == "fe80::1")
        #expect(try SocketAddress("[::1]:1").hostWithoutInterface == "::1")
        #expect(try SocketAddress("unix:/x").hostWithoutInterface == nil)
    }

    @Test func `a link-local address on an interface that is not there is told of`() throws {
        let address = try SocketAddress("[fe80::1%missing9]:1")
        let error = #expect(throws: LinuxError.self) { _ = try Socket.listen(on: address) }
        #expect(error?.description.contains("find the interface of [fe80::1%missing9]:1") == true)
    }
}
