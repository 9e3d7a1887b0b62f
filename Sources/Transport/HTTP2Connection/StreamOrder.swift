/// Holds a client to the order of its streams (RFC 9113, sections 5.1 and 5.1.1): every stream has a higher number than
/// those before it, and what has ended stays ended. Pure; it follows from what the client sends, and from which streams
/// we have ended.
///
/// nghttp2 checks this only for as long as it keeps the streams that have ended, which would cost up to half a megabyte
/// for each connection; here it is a few bytes for each stream that is open.
package struct StreamOrder: Sendable {
    /// Streams that the client has begun and not ended; true: we have.
    private var unended: [Int32: Bool] = [:]
    /// Those that we have ended before the client did, the oldest first: what it had already sent is on its way. Some may
    /// have been ended by it since.
    private var abandoned: [Int32] = []
    /// Where the oldest is, and how many the client has not ended.
    private var oldest = 0
    private var abandonedCount = 0
    private let abandonedMax: Int
    /// The highest stream begun, and the one that was the highest before it: what lies between was never begun.
    private var last: Int32 = 0
    private var previous: Int32 = 0
    /// GOAWAY's last word: above it nothing is served, and nothing judged.
    private var lastServed = Int32.max

    /// Streams that we ended early, above this number, are no longer waited for.
    package init(abandonedMax: Int) { self.abandonedMax = max(abandonedMax, 1) }

    /// Streams that are kept in mind.
    package var count: Int { unended.count }

    /// The connection error that a frame's place deserves; nil when it has none, or nghttp2 sees it by itself.
    package mutating func received(_ frame: FrameHeader) -> HTTP2ErrorCode? {
        // Even numbers are the server's, and 0 is the connection: nghttp2 refuses what is wrong with them.
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
        // As many as are still waited for may be there for nothing.
        if abandoned.count > 2 * abandonedMax { dropEnded() }
    }

    /// We have said which stream is the last that we serve (RFC 9113, section 6.8): what the client begins after it, before
    /// it has heard of that, is ignored.
    package mutating func refuse(above stream: Int32) { lastServed = min(lastServed, stream) }

    private mutating func forget(_ stream: Int32) {
        if unended.removeValue(forKey: stream) == true { abandonedCount -= 1 }
    }

    private mutating func dropEnded() {
        abandoned = abandoned[oldest...].filter { unended[$0] == true }
        oldest = 0
    }
}
