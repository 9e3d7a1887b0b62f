/// Enforces the order of a client's streams (RFC 9113, sections 5.1 and 5.1.1): every stream has a higher number than
/// those before it, and an ended stream stays ended. Pure; it depends on the client's frames, and on the streams that
/// we have ended.
///
/// nghttp2 checks this only for as long as it keeps the streams that have ended, which would cost up to half a megabyte
/// for each connection; here it is a few bytes for each stream that is open.
package struct StreamOrder: Sendable {
    /// Streams that the client has begun and not ended; true: we have ended the stream.
    private var unended: [Int32: Bool] = [:]
    /// Streams that we have ended before the client did, the oldest first, because frames of the client may still be on
    /// their way. The client may have ended some of them since.
    private var abandoned: [Int32] = []
    /// The index of the oldest, and how many of them the client has not ended.
    private var oldest = 0
    private var abandonedCount = 0
    private let abandonedMax: Int
    /// The highest stream begun, and the highest before it: streams between the two were never begun.
    private var last: Int32 = 0
    private var previous: Int32 = 0
    /// The last stream of our final GOAWAY: streams above it are not served, and not judged.
    private var lastServed = Int32.max

    /// `abandonedMax`: of the streams that we ended early, the oldest beyond this number are no longer waited for.
    package init(abandonedMax: Int) { self.abandonedMax = max(abandonedMax, 1) }

    /// The number of streams in the table.
    package var count: Int { unended.count }

    /// The connection error for a frame that breaks the order; nil when there is none, or nghttp2 finds it itself.
    package mutating func received(_ frame: FrameHeader) -> HTTP2ErrorCode? {
        // Even numbers are the server's, and 0 is the connection: nghttp2 checks those itself.
        guard frame.stream & 1 == 1, frame.stream <= lastServed else { return nil }
        switch frame.kind {
        case .headers where frame.stream > last:
            previous = last
            last = frame.stream
            if !frame.endsStream { unended[frame.stream] = false }
        case .headers, .data:
            guard frame.stream <= last else { return nil }
            guard unended[frame.stream] != nil else {
                return frame.stream > previous && frame.stream < last ? .protocolError : .streamClosed
            }
            if frame.endsStream { forget(frame.stream) }
        case .reset:
            forget(frame.stream)
        default: break
        }
        return nil
    }

    /// We have ended a stream, whether or not the client has.
    package mutating func ended(_ stream: Int32) {
        guard unended[stream] == false else { return }
        unended[stream] = true
        abandoned.append(stream)
        abandonedCount += 1
        while abandonedCount > abandonedMax {
            forget(abandoned[oldest])
            oldest += 1
        }
        // At most half of the entries may be streams that the client has ended.
        if abandoned.count > 2 * abandonedMax { dropEnded() }
    }

    /// We have sent GOAWAY with the last stream that we serve (RFC 9113, section 6.8): streams that the client begins
    /// after it, before it has received that, are ignored.
    package mutating func refuse(above stream: Int32) { lastServed = min(lastServed, stream) }

    private mutating func forget(_ stream: Int32) {
        if unended.removeValue(forKey: stream) == true { abandonedCount -= 1 }
    }

    private mutating func dropEnded() {
        abandoned = abandoned[oldest...].filter { unended[$0] == true }
        oldest = 0
    }
}
