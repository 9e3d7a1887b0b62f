internal import BaseEncodings
internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import Settings
internal import TLSSession

/// The protection of each address: TLS everywhere but on local ones, with the owner's certificate or a generated one.
struct ListenerSecurity {
    /// SHA-256 of the certificate in use, for clients to pin; nil when no address has TLS.
    let fingerprint: String?
    private let tls: ServerTLS?
    /// The files of the HTTP bridge's TLS; nil: it has none.
    let http: ServerTLS?
    /// The only names of clients' certificates that may call; empty: all.
    let clientSubjects: [String]

    /// The files that may be replaced while the agent runs.
    var files: [String] {
        guard let tls else { return [] }
        return [tls.certificateChainFile, tls.privateKeyFile] + (tls.clientAuthorityFile.map { [$0] } ?? [])
    }

    /// Generates certificate.pem and key.pem in the state folder when TLS is needed and the owner gave none.
    init(_ configuration: HostConfiguration, state: String) throws(HostError) {
        clientSubjects = configuration.tlsClientSubjects
        let httpAddress = try configuration.httpAddress()
        let httpUsesTLS = httpAddress.map(configuration.usesTLSOverHTTP) ?? false
        guard httpUsesTLS || configuration.listen.contains(where: configuration.usesTLS) else {
            (fingerprint, tls, http) = (nil, nil, nil)
            return
        }
        let tls = ServerTLS(
            certificateChainFile: configuration.tlsCertificate ?? state + "/certificate.pem",
            privateKeyFile: configuration.tlsKey ?? state + "/key.pem",
            clientAuthorityFile: configuration.tlsClientAuthority, acceptsTLS12: configuration.tlsMinimum == "1.2")
        let isGenerated = configuration.tlsCertificate == nil
        do throws(TLSError) {
            // The key was written first: without a certificate, neither has ever been shown to a client.
            if isGenerated, !FileManager.default.fileExists(atPath: tls.certificateChainFile) {
                _ = try SelfSignedCertificate.generate(
                    hosts: ["localhost", "127.0.0.1", "::1"]
                        + (configuration.listen + [httpAddress].compactMap { $0 }).compactMap(\.hostWithoutInterface),
                    certificateFile: tls.certificateChainFile, privateKeyFile: tls.privateKeyFile)
            }
            // Errors of the files are reported before an address is taken.
            fingerprint = hexadecimal(try TLSContext(server: tls).certificateSHA256())
        } catch {
            let remedy =
                isGenerated
                ? "make room on that disk if it is full; if a file is damaged, put back copies of both, or remove "
                    + "\(tls.certificateChainFile) and \(tls.privateKeyFile), so that new ones are made, whose "
                    + "fingerprint consumers then need"
                : "check --tls-certificate and --tls-key"
            throw HostError("TLS cannot be served: \(error); \(remedy)")
        }
        self.tls = tls
        http = httpUsesTLS ? tls : nil
    }

    func security(of address: SocketAddress, _ configuration: HostConfiguration) -> ServerSecurity {
        guard configuration.usesTLS(on: address), let tls else { return .plaintext }
        return .tls(tls)
    }
}
