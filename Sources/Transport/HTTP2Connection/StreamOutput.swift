internal import ByteBuffer

/// What a stream has to say: bytes, and where they stand against its marks. One per stream, on the loop.
///
/// The stream holds it behind a pointer, which spares each message the run-time checks of a class's properties: tokens
/// are appended tens of millions of times a second.
struct StreamOutput: ~Copyable {
    var bytes = ByteQueue()
    /// Of all bytes that were appended, how many were taken.
    var takenBytes: UInt64 = 0
    /// The response has begun and not ended.
    var isOpen = false
    /// No bytes follow; perhaps trailers.
    var isEnding = false
    /// nghttp2 has asked for bytes in vain and will not ask again until `nghttp2_session_resume_data`.
    ///
    /// While it is false, nghttp2 asks by itself: a flush is scheduled, or the socket or the window will allow one.
    var isDeferred = false
    /// Above the high mark, and not yet back at the low one.
    var isAboveHighMark = false
    /// `takenBytes` when `hasStopped` was asked last; nil before that, and when more was to come.
    private var takenBefore: UInt64?
    let highBytes: Int
    let lowBytes: Int
    /// 0 once something was refused: what follows a gap is not sent.
    private var bytesMax: Int
    /// The sum of what the streams of the connection hold, in which `bytes` is counted.
    private let sum: UnsafeMutablePointer<Int>

    /// `sum` is the connection's, and lives until `close` at least; after that it is not touched.
    init(_ limits: HTTP2Limits, countedIn sum: UnsafeMutablePointer<Int>) {
        self.sum = sum
        highBytes = limits.streamBufferHighBytes
        lowBytes = limits.streamBufferLowBytes
        bytesMax = limits.streamBufferBytesMax
    }

    /// False: the stream is not open, or its bound would be or has been passed; nothing was appended.
    @inline(__always)
    mutating func append(byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Bool {
        guard isOpen else { return false }
        guard byteCount <= bytesMax &- bytes.count else {
            bytesMax = 0
            return false
        }
        bytes.append(byteCount: byteCount, fill)
        noteHeld(byteCount)
        if bytes.count > highBytes { isAboveHighMark = true }
        return true
    }

    /// True when the low mark was reached after the high one had been passed.
    mutating func removeFirst(_ count: Int) -> Bool {
        bytes.removeFirst(count)
        takenBytes &+= UInt64(count)
        noteHeld(-count)
        guard isAboveHighMark, bytes.count <= lowBytes else { return false }
        isAboveHighMark = false
        return true
    }

    /// Counts `change` bytes more. Not `&+=`: of that Swift 6.3 makes no code with the thread sanitizer, and fails.
    @inline(__always)
    private func noteHeld(_ change: Int) { sum.pointee = sum.pointee &+ change }

    /// Whether no bytes follow, and none were taken since this was last asked.
    mutating func hasStopped() -> Bool {
        defer { takenBefore = isEnding ? takenBytes : nil }
        return isEnding && takenBefore == takenBytes
    }

    /// Takes no more, and drops what is there.
    mutating func close() {
        isOpen = false
        isEnding = true
        guard !bytes.isEmpty else { return }
        noteHeld(-bytes.count)
        bytes.removeAll()
    }
}
