import LinuxSystem
import TLSSession
import Testing

@testable import GRPC

@Suite
struct ClientTests {
    @Test("A client asks for the host that it checks the certificate for, or else for the address")
    func authority() {
        let address = SocketAddress.internet(host: "::1", port: 50_051)
        #expect(Client.authority(of: address, .plaintext) == "[::1]:50051")
        #expect(Client.authority(of: address, .tls(ClientTLS())) == "[::1]:50051")
        #expect(Client.authority(of: address, .tls(ClientTLS(serverName: "models.example"))) == "models.example")
        let scoped = SocketAddress.internet(host: "fe80::1%eth0", port: 50_051)
        #expect(Client.authority(of: scoped, .plaintext) == "[fe80::1]:50051")
        #expect(Client.authority(of: .unix(path: "/run/hearth"), .plaintext) == "localhost")
    }
}
