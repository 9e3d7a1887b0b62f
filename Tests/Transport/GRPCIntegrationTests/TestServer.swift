import EventLoop
import GRPC
import LinuxSystem
import TLSSession
import TestPlaces
import Testing

/// How a test's client and server reach each other.
enum Path: String, CaseIterable, CustomTestStringConvertible {
    case plaintext, tls, unix

    var testDescription: String { rawValue }
}

/// A server with the echo service, and a client connected to it.
struct TestServer {
    let server: Server
    let service: EchoService
    let address: SocketAddress
    let clientSecurity: ClientSecurity
    private let folder: TemporaryFolder

    static func start(
        _ path: Path = .plaintext, limits: Limits = Limits(), gate: (any CallGate)? = nil
    ) async throws -> TestServer {
        let folder = TemporaryFolder()
        let service = EchoService()
        let server = await Server(limits: limits)
        await server.register(service)
        var clientSecurity = ClientSecurity.plaintext
        let address: SocketAddress
        switch path {
        case .plaintext:
            address = try await server.listen(on: .internet(host: "127.0.0.1", port: 0), gate: gate)
        case .unix:
            address = try await server.listen(on: .unix(path: folder.file("s")), gate: gate)
        case .tls:
            let files = ServerTLS(
                certificateChainFile: folder.file("certificate.pem"),
                privateKeyFile: folder.file("key.pem"))
            let fingerprint = try SelfSignedCertificate.generate(
                hosts: ["localhost", "127.0.0.1"], certificateFile: files.certificateChainFile,
                privateKeyFile: files.privateKeyFile)
            clientSecurity = .tls(ClientTLS(trust: .pinned(sha256: fingerprint)))
            address = try await server.listen(
                on: .internet(host: "127.0.0.1", port: 0), security: .tls(files), gate: gate)
        }
        return TestServer(
            server: server, service: service, address: address, clientSecurity: clientSecurity, folder: folder)
    }

    func connect(limits: Limits = .client) async throws -> Client {
        try await Client.connect(to: address, security: clientSecurity, limits: limits)
    }

    func file(_ name: String) -> String { folder.file(name) }

    func stop() async {
        await server.close()
        await service.log.forget()
        folder.remove()
    }
}

/// Runs a test's body against a server of its own.
func withServer(
    _ path: Path = .plaintext, limits: Limits = Limits(), gate: (any CallGate)? = nil,
    _ body: (TestServer) async throws -> Void
) async throws {
    let server = try await TestServer.start(path, limits: limits, gate: gate)
    do {
        try await body(server)
        await server.stop()
    } catch {
        await server.stop()
        throw error
    }
}
