internal import BaseEncodings
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import HTTPProtocols
internal import Logging
internal import TLSSession

/// Follows the files of a server's certificates while the agent runs: new connections get the present certificates, or
/// the earlier ones where the present ones cannot be served. On the loop, which reads and parses no file.
@IOLoop
final class CertificateFollower {
    private let server: Server
    private let bridge: HTTPBridge?
    private let logger: Logger
    private let watch: FileWatch
    private let reading: FileReading<Result<Certificates, TLSError>>
    private let took: @IOLoop (String) -> Void
    /// The error of the last reading, which is reported once.
    private var failure: TLSError?

    /// A certificate with its key, and its SHA-256.
    private struct Certificate: Sendable {
        let context: TLSContext
        let fingerprint: String
    }

    /// Those of all listeners.
    private struct Certificates: Sendable {
        var listeners: [ServerTLS: Certificate] = [:]
        var http: (tls: BridgeSettings.TLS, fingerprint: String)?

        var fingerprints: Set<String> {
            Set(listeners.values.map(\.fingerprint)).union(http.map { [$0.fingerprint] } ?? [])
        }
    }

    /// `took` is called with the fingerprint of the certificate that is shown from then on.
    init(
        of server: Server, bridge: HTTPBridge?, security: ListenerSecurity, logger: Logger,
        took: @escaping @IOLoop (String) -> Void
    ) {
        self.server = server
        self.bridge = bridge
        self.logger = logger
        self.took = took
        watch = FileWatch(security.files, everyMilliseconds: AccessLimits.inForce.fileCheckMilliseconds)
        reading = FileReading {
            let files = server.tlsFiles
            return { CertificateFollower.read(files, http: security.http, security.clientSubjects) }
        }
        reading.done = { [weak self] in self?.take($0) }
        watch.changed = { [weak self] in self?.reload() }
    }

    /// Reads the files again, whether or not they have changed.
    func reload() { reading.begin() }

    func stop() {
        watch.stop()
        reading.stop()
    }

    nonisolated private static func read(
        _ files: Set<ServerTLS>, http: ServerTLS?, _ clientSubjects: [String]
    ) -> Result<Certificates, TLSError> {
        do throws(TLSError) {
            var read = Certificates()
            for files in files {
                let context = try TLSContext(server: files)
                read.listeners[files] = Certificate(
                    context: context, fingerprint: hexadecimal(try context.certificateSHA256()))
            }
            if let http {
                let (tls, fingerprint) = try BridgeSettings.TLS.read(http, clientSubjects)
                read.http = (tls, fingerprint)
            }
            return .success(read)
        } catch {
            return .failure(error)
        }
    }

    private func take(_ result: Result<Certificates, TLSError>) {
        switch result {
        case .success(let certificates):
            failure = nil
            server.replaceTLS(certificates.listeners.mapValues(\.context))
            if let http = certificates.http { bridge?.replace(http.tls) }
            for fingerprint in certificates.fingerprints {
                took(fingerprint)
                logger.notice("certificate read again, SHA-256 \(fingerprint)")
            }
        case .failure(let error):
            // A certificate and its key are two files, which may be read while only one of them has been replaced.
            watch.forget()
            if failure != error { logger.error("the certificate in use stays: \(error)") }
            failure = error
        }
    }
}

extension BridgeSettings.TLS {
    /// Reads the files for the bridge, which sees none, and tries whether they can be served; with the certificate's SHA-256.
    static func read(_ files: ServerTLS, _ clientSubjects: [String]) throws(TLSError) -> (BridgeSettings.TLS, String) {
        let identity = try ServerIdentity(reading: files)
        let context = try TLSContext(server: identity, speaking: .http1)
        func text(_ pem: PEMText) -> String { String(decoding: pem.bytes, as: UTF8.self) }
        let tls = BridgeSettings.TLS(
            certificateChain: text(identity.certificateChain), privateKey: text(identity.privateKey),
            clientAuthorities: identity.clientAuthorities.map(text), clientSubjects: clientSubjects,
            acceptsTLS12: identity.acceptsTLS12)
        guard BridgeSettings(tls: tls).json.count <= BridgeSettings.bytesMax / 2 else {
            throw TLSError(
                .configuration,
                "the certificate chain, its key and the authorities of clients have more than \(BridgeSettings.bytesMax / 2) "
                    + "bytes together, which is the most that HTTP is served with; leave out what is not needed")
        }
        return (tls, hexadecimal(try context.certificateSHA256()))
    }
}
