internal import HTTP2Connection
internal import LinuxSystem

/// What the calls of one connection use together; pure.
struct ConnectionAccount {
    /// zlib begins anew with each message, which costs about as much as so many bytes of its work.
    static let decompressionBeginBytes = 4 << 10

    /// What is kept of messages that are not whole.
    var incompleteBytes = 0
    /// What handlers keep of messages that are.
    var keptBytes = 0
    private var decompression: TokenBucket

    init(_ limits: Limits) { decompression = TokenBucket(atOnce: limits.decompressedBytesPerSecondMax) }

    /// Bytes that may be decompressed now. A message may go beyond that; the next ones wait for it.
    mutating func decompressionLeft(at now: Monotonic) -> Int { decompression.left(at: now) }

    mutating func decompressed(_ byteCount: Int, messages: Int, at now: Monotonic) {
        decompression.charge(byteCount + messages * ConnectionAccount.decompressionBeginBytes, at: now)
    }
}
