internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import TLSSession

/// What protects each address: TLS everywhere but on this machine, with the owner's certificate or a generated one.
struct ListenerSecurity {
    /// SHA-256 of the certificate in use, for clients to pin; nil when no address has TLS.
    let fingerprint: String?
    private let tls: ServerTLS?

    /// The files that may be replaced while the agent runs.
    var files: [String] {
        guard let tls else { return [] }
        return [tls.certificateChainFile, tls.privateKeyFile] + (tls.clientAuthorityFile.map { [$0] } ?? [])
    }

    /// SHA-256 of the certificate as it is in its file now.
    func currentFingerprint() throws(TLSError) -> String? {
        guard let tls else { return nil }
        return hexadecimal(try SelfSignedCertificate.fingerprint(ofCertificateFile: tls.certificateChainFile))
    }

    /// Generates certificate.pem and key.pem in the state folder when TLS is needed and the owner gave none.
    init(_ configuration: HostConfiguration, state: String) throws(HostError) {
        guard configuration.listen.contains(where: configuration.usesTLS) else {
            (fingerprint, tls) = (nil, nil)
            return
        }
        let tls = ServerTLS(
            certificateChainFile: configuration.tlsCertificate ?? state + "/certificate.pem",
            privateKeyFile: configuration.tlsKey ?? state + "/key.pem",
            clientAuthorityFile: configuration.tlsClientAuthority, acceptsTLS12: configuration.tlsMinimum == "1.2")
        do throws(TLSError) {
            if configuration.tlsCertificate == nil, !FileManager.default.fileExists(atPath: tls.privateKeyFile) {
                _ = try SelfSignedCertificate.generate(
                    hosts: ["localhost", "127.0.0.1", "::1"] + configuration.listen.compactMap(\.hostWithoutInterface),
                    certificateFile: tls.certificateChainFile, privateKeyFile: tls.privateKeyFile)
            }
            let digest = try SelfSignedCertificate.fingerprint(ofCertificateFile: tls.certificateChainFile)
            fingerprint = digest.map { String(format: "%02x", $0) }.joined()
        } catch {
            throw HostError(
                "TLS cannot be served: \(error); check --tls-certificate and --tls-key, or the state folder")
        }
        self.tls = tls
    }

    func security(of address: SocketAddress, _ configuration: HostConfiguration) -> ServerSecurity {
        guard configuration.usesTLS(on: address), let tls else { return .plaintext }
        return .tls(tls)
    }
}
