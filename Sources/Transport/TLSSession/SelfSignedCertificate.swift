internal import COpenSSL
internal import Cryptography
internal import Glibc
internal import LinuxSystem

/// A self-signed certificate, for hosts without a certificate authority; clients pin its fingerprint.
package enum SelfSignedCertificate {
    /// The lifetime is long so that expiry does not cut a host off: a pinned certificate is replaced on purpose.
    private static let validDays = 3_650

    /// Makes an EC P-256 key and a certificate for `hosts` (names or addresses), and writes both as PEM files that only
    /// their owner can read, each as a whole. Returns the certificate's SHA-256.
    ///
    /// Throws if there is a certificate already. The key is written first, so a key alone is left by an interrupted
    /// attempt: it is used if it is whole, and replaced if not.
    package static func generate(
        hosts: [String], certificateFile: String, privateKeyFile: String
    ) throws(TLSError) -> [UInt8] {
        guard access(certificateFile, F_OK) != 0 else {
            throw TLSError(.configuration, "write \(certificateFile): there is such a file already")
        }
        let left = readKey(in: privateKeyFile)
        guard let key = left ?? hearth_generate_p256() else { throw TLSError.last(.configuration, "generate a key") }
        defer { EVP_PKEY_free(key) }
        guard let certificate = X509_new() else { throw TLSError.last(.configuration, "make a certificate") }
        defer { X509_free(certificate) }
        try describe(certificate, hosts: hosts, key: key)
        guard X509_sign(certificate, key, EVP_sha256()) > 0 else {
            throw TLSError.last(.configuration, "sign a certificate")
        }
        if left == nil { try write(to: privateKeyFile) { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) } }
        try write(to: certificateFile, overwriting: false) { PEM_write_bio_X509($0, certificate) }
        return try SHA256.fingerprint(of: certificate)
    }

    /// The unencrypted key in a PEM file; nil: there is none. The caller frees it.
    private static func readKey(in file: String) -> OpaquePointer? {
        defer { ERR_clear_error() }
        guard let bio = BIO_new_file(file, "r") else { return nil }
        defer { BIO_free(bio) }
        return PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
    }

    private static func describe(
        _ certificate: OpaquePointer, hosts: [String], key: OpaquePointer
    ) throws(TLSError) {
        X509_set_version(certificate, 2)  // Version 3 is written as 2 (RFC 5280, section 4.1).
        var serial: UInt64 = 0
        withUnsafeMutableBytes(of: &serial) { _ = RAND_bytes($0.baseAddress, 8) }
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1)
        // An hour back, so that a client whose clock is a little behind accepts it.
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3_600)
        X509_gmtime_adj(X509_getm_notAfter(certificate), validDays * 86_400)
        X509_set_pubkey(certificate, key)
        let name = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, hosts.first ?? "hearth", -1, -1, 0)
        X509_set_issuer_name(certificate, name)
        let names = hosts.map { host in
            var address = in6_addr()
            let isAddress = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
            return (isAddress ? "IP:" : "DNS:") + host
        }
        if !names.isEmpty { try add(NID_subject_alt_name, names.joined(separator: ","), to: certificate) }
        try add(NID_basic_constraints, "critical,CA:TRUE", to: certificate)
        try add(NID_ext_key_usage, "serverAuth", to: certificate)
    }

    private static func add(_ kind: CInt, _ value: String, to certificate: OpaquePointer) throws(TLSError) {
        guard let known = X509V3_EXT_conf_nid(nil, nil, kind, value) else {
            throw TLSError.last(.configuration, "'\(value)' cannot stand in a certificate")
        }
        defer { X509_EXTENSION_free(known) }
        guard X509_add_ext(certificate, known, -1) == 1 else {
            throw TLSError.last(.configuration, "extend a certificate")
        }
    }

    /// Encodes in memory first, so that the file is made by us, with the mode it must have from birth.
    private static func write(
        to path: String, overwriting: Bool = true, _ encode: (OpaquePointer) -> CInt
    ) throws(TLSError) {
        guard let memory = BIO_new(BIO_s_mem()) else { throw TLSError.last(.configuration, "encode \(path)") }
        defer { BIO_free(memory) }
        guard encode(memory) == 1 else { throw TLSError.last(.configuration, "encode \(path)") }
        var bytes: UnsafeMutablePointer<CChar>?
        let count = BIO_ctrl(memory, BIO_CTRL_INFO, 0, &bytes)
        do throws(LinuxError) {
            try FileBytes.replace(
                path, with: Array(UnsafeRawBufferPointer(start: bytes, count: count)), overwriting: overwriting)
        } catch {
            throw TLSError(.configuration, error.description)
        }
    }
}
