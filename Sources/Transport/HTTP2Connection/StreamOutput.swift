internal import ByteBuffer

/// The output of a stream: its buffered bytes, and its high and low marks. One per stream, on the loop.
///
/// The stream holds it behind a pointer, which spares each message the run-time checks of a class's properties: tokens
/// are appended tens of millions of times a second.
struct StreamOutput: ~Copyable {
    var bytes = ByteQueue()
    /// How many of the appended bytes were taken into frames.
    var takenBytes: UInt64 = 0
    /// The response has begun and not ended.
    var isOpen = false
    /// No more bytes follow, but perhaps trailers.
    var isEnding = false
    /// nghttp2 has asked for bytes when there were none, and will not ask again until `nghttp2_session_resume_data`.
    ///
    /// While it is false, nghttp2 asks by itself: a flush is scheduled, or the socket or the window will allow one.
    var isDeferred = false
    /// Whether the output went above the high mark and is not yet back at the low mark.
    var isAboveHighMark = false
    /// `takenBytes` at the last call of `hasStopped`; nil before that, and when more bytes were to follow.
    private var takenBefore: UInt64?
    let highBytes: Int
    let lowBytes: Int
    /// The bound of `bytes`; 0 once an append was refused, because nothing may follow a gap.
    private var bytesMax: Int
    /// The bytes that all streams of the connection hold, in which `bytes` is counted.
    private let sum: UnsafeMutablePointer<Int>

    /// `sum` is the connection's, and lives until `close` at least; after that it is not touched.
    init(_ limits: HTTP2Limits, countedIn sum: UnsafeMutablePointer<Int>) {
        self.sum = sum
        highBytes = limits.streamBufferHighBytes
        lowBytes = limits.streamBufferLowBytes
        bytesMax = limits.streamBufferBytesMax
    }

    /// False: the stream is not open, or would exceed its bound, or did so before; nothing was appended.
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

    /// Accepts no more bytes, and drops those that are buffered.
    mutating func close() {
        isOpen = false
        isEnding = true
        guard !bytes.isEmpty else { return }
        noteHeld(-bytes.count)
        bytes.removeAll()
    }
}
