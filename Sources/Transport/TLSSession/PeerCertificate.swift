internal import COpenSSL

/// The names in a client's certificate that an authority has signed.
package struct PeerCertificate: Hashable, Sendable {
    /// The subject's common name.
    package let commonName: String?
    /// Subject alternative names: of hosts (DNS), and URIs such as SPIFFE's.
    package let alternativeNames: [String]

    /// All names that an owner can allow (`--tls-client-subject`).
    package var names: [String] { (commonName.map { [$0] } ?? []) + alternativeNames }

    init(_ certificate: OpaquePointer) {
        commonName = PeerCertificate.commonName(of: certificate)
        var names: [String] = []
        if let list = hearth_alternative_names(certificate) {
            defer { hearth_free_alternative_names(list) }
            for index in 0..<hearth_alternative_name_count(list) {
                var count: CInt = 0
                guard let bytes = hearth_alternative_name(list, index, &count) else { continue }
                if let name = PeerCertificate.text(bytes, count) { names.append(name) }
            }
        }
        alternativeNames = names
    }

    private static func commonName(of certificate: OpaquePointer) -> String? {
        let subject = X509_get_subject_name(certificate)
        let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(subject, index) else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(entry))
        guard count >= 0, let bytes else { return nil }
        defer { hearth_openssl_free(bytes) }
        return text(bytes, count)
    }

    /// The bytes as text; nil if they are no text, or have a NUL, at which other programs would end the name.
    private static func text(_ bytes: UnsafePointer<UInt8>, _ count: CInt) -> String? {
        let buffer = UnsafeBufferPointer(start: bytes, count: Int(count))
        return buffer.contains(0) ? nil : String(validating: buffer, as: UTF8.self)
    }
}
