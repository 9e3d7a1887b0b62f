internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore

extension ResponseBody {
    /// This body, held to the pace of the loop that sends it. A piece is only put into the loop's queue, so that whoever
    /// makes pieces faster than the loop sends them would fill it for all connections, and see too late that a client
    /// does not read.
    func paced(by loop: any EventLoop) -> ResponseBody {
        // One that is whole is one piece.
        guard contentLength == nil else { return self }
        return ResponseBody { writer in try await write(PacedWriter(inner: writer, loop: loop)) }
    }
}

private struct PacedWriter: ResponseBodyWriter {
    /// Bytes that are put into the loop's queue before it is waited for.
    private static let bytesMax = 1_024

    var inner: any ResponseBodyWriter
    let loop: any EventLoop
    private var queuedBytes = 0

    init(inner: any ResponseBodyWriter, loop: any EventLoop) {
        self.inner = inner
        self.loop = loop
    }

    mutating func write(_ buffer: ByteBuffer) async throws {
        try await inner.write(buffer)
        queuedBytes += buffer.readableBytes
        guard queuedBytes >= Self.bytesMax else { return }
        queuedBytes = 0
        // It comes to this after the pieces before, and then knows whether the client takes more.
        try await loop.submit {}.get()
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws { try await inner.finish(trailingHeaders) }
}
