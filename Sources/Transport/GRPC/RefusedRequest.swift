internal import EventLoop
internal import HTTP2Connection

/// Answers a request that is not gRPC, with a plain HTTP status and a line of text.
///
/// For a while it first lets the client end its body, and drops that: many HTTP clients read no answer before they have
/// sent the whole request, and an answer to an incomplete request must be followed by a reset (RFC 9113, section 8.1).
/// Kept by its stream; used on the loop.
@IOLoop
final class RefusedRequest: HTTP2StreamHandler {
    private let stream: HTTP2Stream
    private let status: Int
    private let text: String
    private var timer: Timer?

    init(_ stream: HTTP2Stream, status: Int, text: String, waitMilliseconds: UInt64) {
        self.stream = stream
        self.status = status
        self.text = text
        timer = IOLoop.schedule(afterMilliseconds: waitMilliseconds) { self.answer() }
    }

    private func answer() {
        guard let timer else { return }
        timer.cancel()
        self.timer = nil
        stream.respond(ResponseHead.notGRPC(status: status), end: text.isEmpty)
        if text.isEmpty { return }
        let bytes = Array(text.utf8)
        _ = stream.append(byteCount: bytes.count) { $0.copyBytes(from: bytes) }
        stream.end()
    }

    func received(headers: [HTTP2Header], tooLarge: Bool) {}
    func received(data: UnsafeRawBufferPointer) { stream.consume(data.count) }
    func receivedEnd() { answer() }
    func bufferDrained() {}

    func ended(_ end: HTTP2StreamEnd) {
        timer?.cancel()
        timer = nil
    }
}
