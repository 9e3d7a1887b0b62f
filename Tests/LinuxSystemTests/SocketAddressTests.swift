import LinuxSystem
import Testing

struct SocketAddressTests {
    @Test(arguments: ["127.0.0.1:50051", "localhost:0", "[::1]:65535", "unix:/run/hearth.sock", "0.0.0.0:1"])
    func `an address is printed as it was read`(text: String) throws {
        #expect(try SocketAddress(text).description == text)
    }

    @Test(arguments: [
        "", "50051", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":80", "::1:80", "unix:",
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
        for local in ["127.0.0.1:1", "127.255.0.9:1", "[::1]:1", "localhost:1", "unix:/x"] {
            #expect(try SocketAddress(local).isLocal, "\(local)")
        }
        for open in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.evil.example:1", "example.org:1"] {
            #expect(try !SocketAddress(open).isLocal, "\(open)")
        }
    }
}
