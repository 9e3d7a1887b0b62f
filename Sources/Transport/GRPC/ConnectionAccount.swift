internal import HTTP2Connection
internal import LinuxSystem

/// The sum of what the calls of one connection use. Pure.
struct ConnectionAccount {
    /// The cost of zlib's initialization for each message, in bytes of decompression.
    static let decompressionBeginBytes = 4 << 10

    /// The caller that opened the connection, as far as it is known.
    var caller: CallerID
    /// The bytes of messages that are held: incomplete ones, those that wait to be read, and those that handlers keep.
    var messageBytes = 0
    /// The number of calls that keep the connection when room is needed for another, and since when there has been
    /// none.
    private(set) var keepingCalls = 0
    private(set) var unkeptSince: Monotonic
    private var decompression: Allowance

    init(_ limits: Limits, of caller: CallerID, at now: Monotonic) {
        self.caller = caller
        unkeptSince = now
        decompression = Allowance(atOnce: limits.decompressedBytesPerSecondMax)
    }

    mutating func keepingCallBegan() { keepingCalls += 1 }

    mutating func keepingCallEnded(at now: Monotonic) {
        keepingCalls -= 1
        if keepingCalls == 0 { unkeptSince = now }
    }

    /// The bytes that may be decompressed now. One message may exceed that; the next ones then wait.
    mutating func decompressionLeft(at now: Monotonic) -> Int { decompression.left(at: now) }

    /// The time until some bytes may be decompressed again; nil: never.
    mutating func millisecondsUntilDecompression(at now: Monotonic) -> UInt64? {
        decompression.millisecondsUntilOne(at: now)
    }

    static func costOfDecompressing(_ byteCount: Int, messages: Int) -> Int {
        byteCount + messages * decompressionBeginBytes
    }

    mutating func decompressed(cost: Int, at now: Monotonic) { decompression.charge(cost, at: now) }
}
