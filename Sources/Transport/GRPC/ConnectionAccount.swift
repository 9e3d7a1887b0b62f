internal import HTTP2Connection
internal import LinuxSystem

/// What the calls of one connection use together; pure.
struct ConnectionAccount {
    /// zlib begins anew with each message, which costs about as much as so many bytes of its work.
    static let decompressionBeginBytes = 4 << 10

    /// Who has opened it, as far as is known.
    var caller: CallerID
    /// What is held of messages: those that are not whole, that wait to be read, or that handlers keep.
    var messageBytes = 0
    /// Calls for which the connection is spared when room is needed, and since when there have been none.
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

    /// Bytes that may be decompressed now. A message may go beyond that; the next ones wait for it.
    mutating func decompressionLeft(at now: Monotonic) -> Int { decompression.left(at: now) }

    /// When there are some again; nil: never.
    mutating func millisecondsUntilDecompression(at now: Monotonic) -> UInt64? {
        decompression.millisecondsUntilOne(at: now)
    }

    static func costOfDecompressing(_ byteCount: Int, messages: Int) -> Int {
        byteCount + messages * decompressionBeginBytes
    }

    mutating func decompressed(cost: Int, at now: Monotonic) { decompression.charge(cost, at: now) }
}
