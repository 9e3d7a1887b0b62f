internal import CCrypto

/// An incremental SHA-256 digest (FIPS 180-4), by libcrypto's EVP interface.
///
/// Owns its C context; used by one thread at a time.
package struct SHA256: ~Copyable {
    /// The length of a digest, in bytes.
    package static let byteCount = 32

    private let context: OpaquePointer

    package init() {
        // EVP_MD_CTX_new fails only without memory, EVP_DigestInit_ex only without a default provider.
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            fatalError("libcrypto offers no SHA-256; is its default provider disabled in openssl.cnf?")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Appends bytes to what is digested.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "SHA-256 takes any bytes")
    }

    /// The 32 bytes of the digest.
    package consuming func finalize() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            precondition(EVP_DigestFinal_ex(context, buffer.baseAddress, nil) == 1, "SHA-256 ends once")
            count = 32
        }
    }

    /// The digest of bytes in memory.
    package static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hash = SHA256()
        hash.update(bytes)
        return hash.finalize()
    }
}
