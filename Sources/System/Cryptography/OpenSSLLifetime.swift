internal import CCrypto

/// How long libcrypto and libssl keep what they hold.
package enum OpenSSLLifetime {
    /// Keeps it until the process ends (OPENSSL_init_crypto(3), OPENSSL_INIT_NO_ATEXIT). Otherwise exit(3) frees it,
    /// and a thread that is in the middle of a digest or a handshake crashes the process.
    ///
    /// Call it before anything else of this target; later calls change nothing.
    package static func endsWithProcess() {
        let done = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
        precondition(done == 1, "libcrypto cannot start; is openssl.cnf in order?")
    }
}
