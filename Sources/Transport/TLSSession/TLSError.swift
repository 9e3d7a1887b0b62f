internal import COpenSSL

/// A failure of TLS: the step, and the reason in OpenSSL's words. It never contains a key or anything that was sent.
package struct TLSError: Error, Equatable, CustomStringConvertible {
    /// The kind of failure, for code that acts on it.
    package enum Code: Sendable {
        /// A certificate, key or CA file cannot be used.
        case configuration
        /// The other end's certificate is not trusted, or is not the pinned one.
        case untrusted
        /// The other end broke the protocol, or disconnected during it.
        case peer
    }

    package let code: Code
    package let description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// Takes OpenSSL's oldest queued reason (ERR_get_error(3)) and empties the queue, which is this thread's own.
    static func last(_ code: Code, _ operation: String) -> TLSError {
        let first = ERR_get_error()
        ERR_clear_error()
        guard first != 0 else { return TLSError(code, operation) }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(first, &text, text.count)
        let reason = ERR_reason_error_string(first).map { String(cString: $0) }
        let whole = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        return TLSError(code, "\(operation): \(reason ?? whole)")
    }
}
