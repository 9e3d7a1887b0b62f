internal import ArgumentParser
internal import ConsumerAccess
internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import TLSSession

/// How a consumer's commands find a host, and show that they may use it.
struct ConsumerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The host to ask: an address, or the connection string that 'hearth serve' printed.",
            valueName: "host:port|unix:path|hearth://..."))
    var to = "127.0.0.1:50051"
    @Flag(help: "Use TLS on a local address too; elsewhere it is always used.")
    var tls = false
    @Option(help: ArgumentHelp("Trust the certificates that an authority in this PEM file signed.", valueName: "file"))
    var authorities: String?
    @Option(help: ArgumentHelp("Trust only the certificate with this SHA-256.", valueName: "hex"))
    var fingerprint: String?
    @Option(
        help: ArgumentHelp(
            "A file that holds the token; or put the token into HEARTH_TOKEN.", valueName: "file"))
    var tokenFile: String?
    @Option(
        help: ArgumentHelp("The certificate to show, PEM, where a host asks its clients for one.", valueName: "file"))
    var tlsCertificate: String?
    @Option(help: ArgumentHelp("Its private key, PEM.", valueName: "file"))
    var tlsKey: String?

    /// A host that answered, and what every call to it carries.
    struct Host: Sendable {
        let client: Client
        let options: CallOptions
    }

    func connect() async throws -> Host {
        let target = try target()
        var options = CallOptions()
        if let token = try token(in: target) { try options.metadata.add("authorization", "Bearer \(token.text)") }
        let client = try await Connection.open(target.address, security: try security(for: target))
        return Host(client: client, options: options)
    }

    private func target() throws -> ConnectionString {
        guard to.hasPrefix(ConnectionString.scheme) else {
            do throws(SocketAddressError) {
                return ConnectionString(address: try SocketAddress(to), token: nil, fingerprint: nil)
            } catch {
                throw ValidationError("--to \(error)")
            }
        }
        do throws(AccessError) {
            return try ConnectionString(to)
        } catch {
            throw ValidationError("--to: \(error)")
        }
    }

    /// --token-file over the connection string over the environment.
    private func token(in target: ConnectionString) throws -> TokenSecret? {
        let text: String
        if let tokenFile {
            do throws(LinuxError) {
                text = String(decoding: try FileBytes.read(tokenFile, max: 4096), as: UTF8.self)
            } catch {
                throw ValidationError("--token-file: \(error)")
            }
        } else if let token = target.token {
            return token
        } else if let value = ProcessInfo.processInfo.environment["HEARTH_TOKEN"], !value.isEmpty {
            text = value
        } else {
            return nil
        }
        guard let secret = TokenSecret(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw ValidationError(
                "\(tokenFile.map { "--token-file \($0)" } ?? "HEARTH_TOKEN") holds no token: one begins with 'hearth_' "
                    + "and is whole only to its last letter")
        }
        return secret
    }

    private func security(for target: ConnectionString) throws -> ClientSecurity {
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-certificate and --tls-key belong together: give both or neither")
        }
        guard let tls = try trust(in: target).map({ ClientTLS(trust: $0, identity: identity) }) else {
            return .plaintext
        }
        // Read now, so that a file that cannot be used is told of before anybody is asked for anything.
        do throws(TLSError) {
            _ = try TLSContext(client: tls, host: nil)
        } catch {
            throw ValidationError("\(error)")
        }
        return .tls(tls)
    }

    private var identity: ClientIdentity? {
        guard let tlsCertificate, let tlsKey else { return nil }
        return ClientIdentity(certificateChainFile: tlsCertificate, privateKeyFile: tlsKey)
    }

    /// Nil: no TLS.
    private func trust(in target: ConnectionString) throws -> ClientTLS.Trust? {
        if let fingerprint {
            guard let digest = Fingerprint.parse(fingerprint) else {
                throw ValidationError(
                    "--fingerprint '\(fingerprint)': write the 64 hexadecimal digits that 'hearth serve' logs")
            }
            return .pinned(sha256: digest)
        }
        if let digest = target.fingerprint { return .pinned(sha256: digest) }
        guard tls || authorities != nil || identity != nil || !target.address.isLocal else { return nil }
        return authorities.map { .authorities(file: $0) } ?? .system
    }
}
