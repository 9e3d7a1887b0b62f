internal import CCrypto

/// Random bytes that cannot be guessed, and a comparison in constant time, by libcrypto.
package enum SecretBytes {
    /// Random bytes (RAND_priv_bytes(3)). Stops the process if there is no randomness: a secret that can be guessed is
    /// worse than none.
    package static func random(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard RAND_priv_bytes(buffer.baseAddress, CInt(count)) == 1 else {
                fatalError("libcrypto has no random bytes; is its default provider disabled in openssl.cnf?")
            }
            initialized = count
        }
    }

    /// Whether both are the same, in a time that depends on their lengths only (CRYPTO_memcmp(3)).
    package static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        one.count == other.count && CRYPTO_memcmp(one, other, one.count) == 0
    }
}
