internal import ArgumentParser
internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import TLSSession

/// How a consumer's commands find a host.
struct ConsumerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The host to ask.", valueName: "host:port|unix:path"))
    var to = "127.0.0.1:50051"
    @Flag(help: "Use TLS on a local address too; elsewhere it is always used.")
    var tls = false
    @Option(help: ArgumentHelp("Trust the certificates that an authority in this PEM file signed.", valueName: "file"))
    var authorities: String?
    @Option(help: ArgumentHelp("Trust only the certificate with this SHA-256.", valueName: "hex"))
    var fingerprint: String?

    func connect() async throws -> Client {
        let address: SocketAddress
        do throws(SocketAddressError) {
            address = try SocketAddress(to)
        } catch {
            throw ValidationError("--to \(error)")
        }
        return try await Connection.open(address, security: try security(for: address))
    }

    private func security(for address: SocketAddress) throws -> ClientSecurity {
        guard tls || authorities != nil || fingerprint != nil || !address.isLocal else { return .plaintext }
        if let fingerprint {
            guard let digest = Self.digest(fingerprint) else {
                throw ValidationError(
                    "--fingerprint '\(fingerprint)': write the 64 hexadecimal digits that 'hearth serve' logs")
            }
            return .tls(ClientTLS(trust: .pinned(sha256: digest)))
        }
        return .tls(ClientTLS(trust: authorities.map { .authorities(file: $0) } ?? .system))
    }

    private static func digest(_ text: String) -> [UInt8]? {
        let digits = text.filter { $0 != ":" }
        guard digits.count == 64, digits.allSatisfy(\.isHexDigit) else { return nil }
        return stride(from: 0, to: 64, by: 2).compactMap { start in
            let from = digits.index(digits.startIndex, offsetBy: start)
            return UInt8(digits[from..<digits.index(from, offsetBy: 2)], radix: 16)
        }
    }
}
