internal import Foundation
internal import GRPC
internal import Glibc
internal import Installation
internal import LinuxSystem
internal import Logging
internal import Settings
internal import TLSSession
internal import TraceExport

/// The export of traces, from the settings.
enum CollectorSetup {
    private static let headersBytesMax = 64 << 10

    /// Nil: the owner has named no collector. Throws for files that cannot be used, before anything is started.
    static func setup(_ configuration: HostConfiguration) throws(HostError) -> Tracer.Setup? {
        guard let collector = try configuration.collector(), let endpoint = configuration.otlpEndpoint else {
            return nil
        }
        var security = ClientSecurity.plaintext
        if collector.usesTLS {
            let tls = ClientTLS(trust: configuration.otlpAuthorities.map { .authorities(file: $0) } ?? .system)
            do throws(TLSError) {
                _ = try TLSContext(client: tls, host: collector.address.hostWithoutInterface)
            } catch {
                throw HostError("otlp-ca: \(error)")
            }
            security = .tls(tls)
        }
        return Tracer.Setup(
            endpoint: endpoint, address: collector.address, security: security,
            headers: try configuration.otlpHeaders.map(headers) ?? Metadata(), ratio: configuration.traceRatio ?? 1,
            version: HearthVersion.current, hostName: ProcessInfo.processInfo.hostName)
    }

    /// Reads lines of "NAME: VALUE"; those that are empty or begin with "#" mean nothing. No error says a value.
    static func headers(_ path: String) throws(HostError) -> Metadata {
        let bytes: [UInt8]
        do throws(LinuxError) {
            let file = try Descriptor.open(path, O_RDONLY | O_NONBLOCK)
            let facts = try FileFacts(of: file, name: path)
            guard facts.kind == .regular else { throw LinuxError(code: EINVAL, operation: "read \(path)") }
            guard facts.permissions & 0o077 == 0 else {
                throw LinuxError(code: EPERM, operation: "trust \(path), which is open to others (chmod 600 it)")
            }
            bytes = try FileBytes.read(file, max: headersBytesMax, name: path)
        } catch {
            throw HostError("otlp-headers-file: \(error)")
        }
        var metadata = Metadata()
        for (index, line) in String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false
        ).enumerated() {
            let text = line.trimmingCharacters(in: .whitespaces)
            if text.isEmpty || text.hasPrefix("#") { continue }
            let parts = text.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            do throws(Status) {
                guard parts.count == 2, !parts[1].isEmpty else { throw Status(.invalidArgument) }
                try metadata.add(parts[0].lowercased(), parts[1])
            } catch {
                throw HostError(
                    "otlp-headers-file: \(path):\(index + 1): write NAME: VALUE, the name of a-z, 0-9, '_', '-' and '.', the value "
                        + "in printable ASCII")
            }
        }
        return metadata
    }
}
