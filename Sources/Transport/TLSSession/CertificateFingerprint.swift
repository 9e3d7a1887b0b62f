internal import COpenSSL
internal import Cryptography

extension SHA256 {
    /// The SHA-256 of a certificate's DER form.
    static func fingerprint(of certificate: OpaquePointer) throws(TLSError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: SHA256.byteCount)
        var count: UInt32 = 0
        guard X509_digest(certificate, EVP_sha256(), &digest, &count) == 1 else {
            throw TLSError.last(.configuration, "hash a certificate")
        }
        return digest
    }
}
