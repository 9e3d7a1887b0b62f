internal import BaseEncodings
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import Logging
internal import TLSSession

/// Follows the files of a server's certificates while the agent runs: new connections get the present certificates, or
/// the earlier ones where the present ones cannot be served. On the loop, which reads and parses no file.
@IOLoop
final class CertificateFollower {
    private let server: Server
    private let logger: Logger
    private let watch: FileWatch
    private let reading: FileReading<Result<[ServerTLS: Certificate], TLSError>>
    private let took: @IOLoop (String) -> Void
    /// The error of the last reading, which is reported once.
    private var failure: TLSError?

    /// A certificate with its key, and its SHA-256.
    private struct Certificate: Sendable {
        let context: TLSContext
        let fingerprint: String
    }

    /// `took` is called with the fingerprint of the certificate that is shown from then on.
    init(of server: Server, files: [String], logger: Logger, took: @escaping @IOLoop (String) -> Void) {
        self.server = server
        self.logger = logger
        self.took = took
        watch = FileWatch(files, everyMilliseconds: AccessLimits.inForce.fileCheckMilliseconds)
        reading = FileReading {
            let files = server.tlsFiles
            return { CertificateFollower.read(files) }
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

    nonisolated private static func read(_ files: Set<ServerTLS>) -> Result<[ServerTLS: Certificate], TLSError> {
        do throws(TLSError) {
            var read: [ServerTLS: Certificate] = [:]
            for files in files {
                let context = try TLSContext(server: files)
                read[files] = Certificate(
                    context: context, fingerprint: hexadecimal(try context.certificateSHA256()))
            }
            return .success(read)
        } catch {
            return .failure(error)
        }
    }

    private func take(_ result: Result<[ServerTLS: Certificate], TLSError>) {
        switch result {
        case .success(let certificates):
            failure = nil
            server.replaceTLS(certificates.mapValues(\.context))
            for fingerprint in Set(certificates.values.map(\.fingerprint)) {
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
