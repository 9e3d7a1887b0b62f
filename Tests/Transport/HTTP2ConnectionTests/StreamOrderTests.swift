import HTTP2Connection
import Testing

/// RFC 9113, sections 5.1 and 5.1.1, as far as a server must watch over them itself.
struct StreamOrderTests {
    private static let streamClosed = HTTP2ErrorCode.streamClosed
    private static let protocolError = HTTP2ErrorCode.protocolError

    private func frame(_ kind: FrameHeader.Kind, _ stream: Int32, end: Bool = false) -> FrameHeader {
        FrameHeader(length: 0, type: kind.rawValue, flags: end ? 1 : 0, stream: stream)
    }

    @Test("What a client may send, in any order of streams, is let pass")
    func orderly() {
        var order = StreamOrder(abandonedMax: 8)
        let frames = [
            frame(.settings, 0), frame(.headers, 1), frame(.headers, 5), frame(.data, 1), frame(.data, 5, end: true),
            frame(.windowUpdate, 5), frame(.reset, 5), frame(.priority, 3), frame(.priority, 9), frame(.data, 1),
            frame(.headers, 1, end: true), frame(.headers, 7, end: true), frame(.ping, 0), frame(.windowUpdate, 1),
        ]
        for frame in frames { #expect(order.received(frame) == nil, "\(frame)") }
        #expect(order.count == 0)
    }

    /// How a stream can have been ended by the client.
    enum End: CaseIterable { case headers, data, trailers, reset }

    @Test("After the client has ended a stream, it sends no DATA and no HEADERS on it", arguments: End.allCases)
    func closed(end: End) {
        var order = StreamOrder(abandonedMax: 8)
        #expect(order.received(frame(.headers, 1, end: end == .headers)) == nil)
        switch end {
        case .headers: break
        case .data: #expect(order.received(frame(.data, 1, end: true)) == nil)
        case .trailers: #expect(order.received(frame(.headers, 1, end: true)) == nil)
        case .reset: #expect(order.received(frame(.reset, 1)) == nil)
        }
        var again = order
        #expect(order.received(frame(.data, 1)) == Self.streamClosed)
        #expect(again.received(frame(.headers, 1, end: true)) == Self.streamClosed)
        // These may still be on their way (RFC 9113, section 5.1, "closed").
        for kind in [FrameHeader.Kind.windowUpdate, .reset, .priority] {
            #expect(order.received(frame(kind, 1)) == nil)
        }
    }

    @Test("A new stream with a lower number than one before it is a protocol error")
    func numbers() {
        var order = StreamOrder(abandonedMax: 8)
        #expect(order.received(frame(.headers, 5)) == nil)
        #expect(order.received(frame(.headers, 3)) == Self.protocolError)
        #expect(order.received(frame(.headers, 9)) == nil)
        #expect(order.received(frame(.headers, 7)) == Self.protocolError)
        #expect(order.received(frame(.headers, 11)) == nil)
    }

    @Test("What the client has sent before it heard of a stream's end by us is let pass")
    func abandoned() {
        var order = StreamOrder(abandonedMax: 8)
        #expect(order.received(frame(.headers, 1)) == nil)
        order.ended(1)
        #expect(order.received(frame(.data, 1)) == nil)
        #expect(order.received(frame(.data, 1, end: true)) == nil)
        #expect(order.received(frame(.data, 1)) == Self.streamClosed)
        #expect(order.count == 0)
    }

    @Test("Streams that we ended are forgotten, the oldest first, when there are too many")
    func bounded() {
        var order = StreamOrder(abandonedMax: 2)
        for stream: Int32 in [1, 3, 5, 7] { #expect(order.received(frame(.headers, stream)) == nil) }
        for stream: Int32 in [1, 1, 3, 3, 5] { order.ended(stream) }
        #expect(order.count == 3)
        #expect(order.received(frame(.data, 3)) == nil)
        #expect(order.received(frame(.data, 5)) == nil)
        #expect(order.received(frame(.data, 7)) == nil)
        #expect(order.received(frame(.data, 1)) == Self.streamClosed)
    }

    @Test("A hundred thousand streams that we refuse leave nothing behind")
    func refused() {
        var order = StreamOrder(abandonedMax: 16)
        for index: Int32 in 0..<100_000 {
            #expect(order.received(frame(.headers, 2 * index + 1)) == nil)
            order.ended(2 * index + 1)
        }
        #expect(order.count == 16)
    }

    @Test("Those that the client ends itself meanwhile make room, in any order, and leave nothing behind")
    func abandonedAndEnded() {
        var order = StreamOrder(abandonedMax: 3)
        var open: [Int32] = []
        for index: Int32 in 0..<10_000 {
            let stream = 2 * index + 1
            #expect(order.received(frame(.headers, stream)) == nil)
            order.ended(stream)
            open.append(stream)
            if open.count > 3 { open.removeFirst() }
            // Two of three are ended from the middle; the third is left until it is the oldest.
            if index % 3 != 0 {
                let ended = open.remove(at: open.count / 2)
                #expect(order.received(frame(.data, ended, end: true)) == nil)
            }
            #expect(order.count == open.count)
        }
        for stream in open { #expect(order.received(frame(.data, stream, end: true)) == nil) }
        #expect(order.count == 0)
    }

    @Test("After GOAWAY's last word, what the client begins is ignored and leaves nothing behind")
    func refusedAfterGoAway() {
        var order = StreamOrder(abandonedMax: 8)
        for stream: Int32 in [1, 3] { #expect(order.received(frame(.headers, stream)) == nil) }
        order.refuse(above: 3)
        for stream: Int32 in stride(from: 5, to: 20_001, by: 2) {
            #expect(order.received(frame(.headers, stream)) == nil)
            #expect(order.received(frame(.data, stream)) == nil)
        }
        // Also out of order: it is all on its way to nowhere.
        #expect(order.received(frame(.data, 5, end: true)) == nil)
        #expect(order.received(frame(.data, 5)) == nil)
        #expect(order.count == 2)
        // What is served is still held to the rules.
        #expect(order.received(frame(.data, 1, end: true)) == nil)
        #expect(order.received(frame(.data, 1)) == Self.streamClosed)
        #expect(order.received(frame(.data, 3)) == nil)
    }

    @Test("What nghttp2 judges by itself is left to it: even numbers, and streams that have not begun")
    func leftAlone() {
        var order = StreamOrder(abandonedMax: 8)
        for stream: Int32 in [0, 2, 4, 1, 99] { #expect(order.received(frame(.data, stream)) == nil) }
        #expect(order.received(frame(.headers, 2)) == nil)
        #expect(order.received(frame(.continuation, 1)) == nil)
        #expect(order.count == 0)
    }
}
