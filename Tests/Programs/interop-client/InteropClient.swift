internal import ArgumentParser
internal import GRPC
internal import LinuxSystem
internal import TLSSession

/// Runs one of gRPC's interoperability tests against a server. The flags are those of the gRPC project's own clients;
/// the authorities' file is named as grpc-go's client names it. Exit status 1: the server did not do as it should.
@main
struct InteropClient: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "interop-client")

    @Option(name: .customLong("server_host"))
    var serverHost = "localhost"
    @Option(name: .customLong("server_port"))
    var serverPort: UInt16 = 0
    @Option(name: .customLong("server_host_override"), help: "The name that the server's certificate has.")
    var serverHostOverride: String?
    @Option(name: .customLong("test_case"), help: "'all' names all cases.")
    var testCase = "large_unary"
    @Option(name: .customLong("use_tls"))
    var usesTLS = false
    @Option(name: .customLong("use_test_ca"), help: "Believe the authorities in --ca_file, not this machine's.")
    var usesTestAuthorities = false
    @Option(name: .customLong("ca_file"))
    var authoritiesFile = "ca.pem"

    mutating func run() async throws {
        if testCase == "all" { return print(TestCase.allCases.map(\.rawValue).joined(separator: "\n")) }
        guard let test = TestCase(rawValue: testCase) else {
            throw ValidationError("there is no case '\(testCase)'; --test_case=all names them")
        }
        let trust: ClientTLS.Trust = usesTestAuthorities ? .authorities(file: authoritiesFile) : .system
        let client = try await Client.connect(
            to: .internet(host: serverHost, port: serverPort),
            security: usesTLS ? .tls(ClientTLS(trust: trust, serverName: serverHostOverride)) : .plaintext)
        try await test.run(on: TestServiceStub(client: client))
        await client.close()
    }
}
