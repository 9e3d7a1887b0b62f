package import LinuxSystem

/// The collector that traces are exported to, by OTLP over gRPC.
package struct Collector: Equatable, Sendable {
    package let address: SocketAddress
    package let usesTLS: Bool

    /// That of OTLP over gRPC (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-default-port).
    private static let port: UInt16 = 4_317

    /// Reads "http://HOST:PORT" or "https://HOST:PORT". Throws for anything else, and where spans would leave the machine
    /// without protection.
    package init(_ text: String) throws(HostError) {
        let schemes = [("https://", true), ("http://", false)]
        guard let (scheme, usesTLS) = schemes.first(where: { text.hasPrefix($0.0) }) else {
            throw HostError("otlp-endpoint '\(text)': write http://127.0.0.1:4317, or https://HOST:PORT")
        }
        var place = text.dropFirst(scheme.count)
        if place.last == "/" { place.removeLast() }
        guard !place.contains("@") else {
            throw HostError(
                "otlp-endpoint has a name or a password in it: put secrets into the file of otlp-headers-file")
        }
        guard !place.isEmpty, !place.contains(where: { "/?# ".contains($0) }) else {
            throw HostError("otlp-endpoint '\(text)': write only a host and a port, because OTLP over gRPC has no path")
        }
        let hasPort = place.lastIndex(of: ":").map { !place[$0...].contains("]") } ?? false
        do throws(SocketAddressError) {
            address = try SocketAddress(hasPort ? String(place) : "\(place):\(Self.port)")
        } catch {
            throw HostError("otlp-endpoint \(error)")
        }
        guard case .internet(_, let port) = address, port != 0 else {
            throw HostError("otlp-endpoint '\(text)': write http://127.0.0.1:4317, or https://HOST:PORT")
        }
        guard usesTLS || address.isLocal else {
            throw HostError(
                "otlp-endpoint '\(text)' is refused: spans would cross the network unprotected; write https://, or export to a "
                    + "collector on 127.0.0.1 that passes them on")
        }
        self.usesTLS = usesTLS
    }
}

extension HostConfiguration {
    /// The collector of traces; nil: there is none. Throws for one that cannot be used.
    package func collector() throws(HostError) -> Collector? {
        guard let otlpEndpoint else { return nil }
        return try Collector(otlpEndpoint)
    }
}
