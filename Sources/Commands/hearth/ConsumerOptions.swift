internal import ArgumentParser
internal import ConsumerAccess
internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import TLSSession

/// The address of a host and the credentials, for a consumer's commands.
struct ConsumerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The host to ask: an address, or the connection string that 'hearth serve' printed.",
            valueName: "host:port|unix:path|hearth://..."))
    var to = "127.0.0.1:50051"
    @Flag(help: "Use TLS on a local address too; other addresses always use it.")
    var tls = false
    @Option(help: ArgumentHelp("Trust the certificates that an authority in this PEM file signed.", valueName: "file"))
    var authorities: String?
    @Option(help: ArgumentHelp("Trust only the certificate with this SHA-256.", valueName: "hex"))
    var fingerprint: String?
    @Option(
        help: ArgumentHelp(
            "The file that holds the key; HEARTH_KEY can hold the key instead.", valueName: "file"))
    var keyFile: String?
    /// Its name in earlier versions.
    @Option(help: .hidden)
    var tokenFile: String?
    @Option(
        help: ArgumentHelp(
            "The priority of the requests. Without this, normal, or low where the key allows no more.",
            valueName: RequestPriority.allCases.map(\.rawValue).joined(separator: "|")))
    var priority: RequestPriority?
    @Option(
        help: ArgumentHelp("The client certificate to present if the host asks for one, PEM.", valueName: "file"))
    var tlsCertificate: String?
    @Option(help: ArgumentHelp("Its private key, PEM.", valueName: "file"))
    var tlsKey: String?

    /// A host that answered, and the metadata that every call to it carries.
    struct Host: Sendable {
        let client: Client
        let options: CallOptions
        let security: ClientSecurity
    }

    func connect() async throws -> Host {
        let target = try target()
        var options = CallOptions()
        if let key = try key(in: target) { try options.metadata.add("authorization", "Bearer \(key.text)") }
        if let priority { try options.metadata.add("hearth-priority", priority.rawValue) }
        let security = try security(for: target)
        let client = try await Connection.open(target.address, security: security)
        return Host(client: client, options: options, security: security)
    }

    /// Whether the host is this machine.
    var isLocal: Bool { (try? target().address.isLocal) ?? false }

    private func target() throws -> ConnectionString {
        guard to.hasPrefix(ConnectionString.scheme) else {
            do throws(SocketAddressError) {
                return ConnectionString(address: try SocketAddress(to), key: nil, fingerprint: nil)
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

    /// The key: --key-file over the connection string over the environment.
    private func key(in target: ConnectionString) throws -> KeySecret? {
        let text: String
        let environment = ProcessInfo.processInfo.environment
        if tokenFile != nil { Output.note("hearth: --token-file is called --key-file now") }
        if let keyFile = keyFile ?? tokenFile {
            do throws(LinuxError) {
                text = String(decoding: try FileBytes.read(keyFile, max: 4096), as: UTF8.self)
            } catch {
                throw ValidationError("--key-file: \(error)")
            }
        } else if let key = target.key {
            return key
        } else if let value = environment["HEARTH_KEY"], !value.isEmpty {
            text = value
        } else if let value = environment["HEARTH_TOKEN"], !value.isEmpty {
            Output.note("hearth: HEARTH_TOKEN is called HEARTH_KEY now")
            text = value
        } else {
            return nil
        }
        guard let secret = KeySecret(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw ValidationError(
                "\(keyFile.map { "--key-file \($0)" } ?? "HEARTH_KEY") holds no key: one begins with 'hearth_' "
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
        // Files are read now, so that one that cannot be used is reported before the person is asked for anything.
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

    /// How to verify the host; nil: no TLS.
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
