internal import CCrypto

/// How long libcrypto and libssl keep what they hold.
package enum OpenSSLLifetime {
    /// Makes it as long as the process lives (OPENSSL_init_crypto(3), OPENSSL_INIT_NO_ATEXIT). Otherwise exit(3) frees it,
    /// and a thread that is at a digest or a handshake just then ends the process by a signal.
    ///
    /// To be called before anything else of this target; afterwards it changes nothing.
    package static func endsWithProcess() {
        let done = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
        precondition(done == 1, "libcrypto cannot start; is openssl.cnf in order?")
    }
}
