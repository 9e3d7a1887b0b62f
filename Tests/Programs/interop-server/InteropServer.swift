internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import TLSSession

/// Serves gRPC's interoperability tests on loopback until it is killed. The flags are those of the gRPC project's own
/// servers; certificate and key are named as grpc-go's server names them.
@main
struct InteropServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "interop-server")

    @Option(name: .customLong("port"), help: "0: any that is free; it is printed.")
    var port: UInt16 = 0
    @Option(name: .customLong("use_tls"))
    var usesTLS = false
    @Option(name: .customLong("tls_cert_file"))
    var certificateFile = "server1.pem"
    @Option(name: .customLong("tls_key_file"))
    var keyFile = "server1.key"

    mutating func run() async throws {
        let files = ServerTLS(certificateChainFile: certificateFile, privateKeyFile: keyFile)
        let server = await Server()
        await server.register(TestService())
        let address = try await server.listen(
            on: .internet(host: "127.0.0.1", port: port), security: usesTLS ? .tls(files) : .plaintext)
        print("interop-server listens on \(address)")
        fflush(nil)
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }
}
