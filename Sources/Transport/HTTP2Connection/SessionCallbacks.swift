internal import CNghttp2
internal import EventLoop

/// What nghttp2 calls, each forwarded to the connection whose session it is.
///
/// The one place where a connection and a stream come back from C. A session's context is its connection, unretained:
/// nghttp2 calls back only from within `nghttp2_session_mem_recv`, `_mem_send` and `_submit_…`, which only the
/// connection itself calls. A data source is its stream, unretained: the connection's table keeps the stream until
/// `on_stream_close`, after which nghttp2 does not ask the source again.
enum SessionCallbacks {
    // Proof: filled once, then only read (nghttp2 copies it into each session).
    nonisolated(unsafe) static let table: OpaquePointer? = make()

    private static func make() -> OpaquePointer? {
        var table: OpaquePointer?
        nghttp2_session_callbacks_new(&table)
        nghttp2_session_callbacks_set_on_begin_headers_callback(table) { _, frame, context in
            enter(context, frame!.pointee.headers) {
                $0.beganHeaders($1.hd.stream_id, isRequest: $1.cat == NGHTTP2_HCAT_REQUEST)
            }
        }
        nghttp2_session_callbacks_set_on_header_callback(table) {
            _, frame, name, nameCount, value, valueCount, _, context in
            enter(context, Field(frame!.pointee.hd.stream_id, name, nameCount, value, valueCount)) {
                $0.receivedHeader($1.stream, name: $1.name, value: $1.value)
            }
        }
        nghttp2_session_callbacks_set_on_invalid_header_callback(table) {
            _, frame, name, nameCount, value, valueCount, _, context in
            enter(context, Field(frame!.pointee.hd.stream_id, name, nameCount, value, valueCount)) {
                $0.receivedInvalidHeader($1.stream, name: $1.name, value: $1.value)
            }
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) { session, _, id, bytes, count, context in
            enter(context, (id, UnsafeRawBufferPointer(start: bytes, count: count))) { $0.receivedData($1.0, $1.1) }
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(table) { _, frame, context in
            enter(context, frame!) { $0.receivedFrame($1.pointee) }
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(table) { _, frame, context in
            enter(context, frame!) { $0.sentFrame($1.pointee) }
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(table) { _, id, code, context in
            enter(context, (id, code)) { $0.streamClosed($1.0, HTTP2ErrorCode(rawValue: $1.1)) }
        }
        nghttp2_session_callbacks_set_send_data_callback(table) { _, _, header, count, source, context in
            let header = UnsafeRawBufferPointer(start: header, count: FrameHeader.byteCount)
            return enter(context, (sourceStream(source!.pointee.ptr), header, count)) {
                $0.takeData(of: $1.0, frameHeader: $1.1, count: $1.2)
            }
        }
        return table
    }

    /// The data provider by which nghttp2 asks the stream for the bytes of its body.
    static func provider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
        var provider = nghttp2_data_provider()
        provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
        provider.read_callback = { session, _, _, capacity, flags, source, context in
            enter(context, (sourceStream(source!.pointee.ptr), capacity, flags!)) {
                $0.nextData(of: $1.0, capacity: $1.1, flags: $1.2)
            }
        }
        return provider
    }
}

/// A header field as nghttp2 passes it, valid during the call.
private struct Field {
    let stream: Int32
    let name: UnsafeBufferPointer<UInt8>
    let value: UnsafeBufferPointer<UInt8>

    init(
        _ stream: Int32, _ name: UnsafePointer<UInt8>?, _ nameCount: Int, _ value: UnsafePointer<UInt8>?,
        _ valueCount: Int
    ) {
        self.stream = stream
        self.name = UnsafeBufferPointer(start: name, count: nameCount)
        self.value = stripped(UnsafeBufferPointer(start: value, count: valueCount))
    }
}

/// A field's value without the spaces and tabs at its ends.
private func stripped(_ value: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
    func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    guard let first = value.firstIndex(where: { !isBlank($0) }), let last = value.lastIndex(where: { !isBlank($0) })
    else { return UnsafeBufferPointer(rebasing: value[0..<0]) }
    return UnsafeBufferPointer(rebasing: value[first...last])
}

private func sourceStream(_ pointer: UnsafeMutableRawPointer?) -> HTTP2Stream {
    Unmanaged<HTTP2Stream>.fromOpaque(pointer!).takeUnretainedValue()
}

/// `body` gets its context as an argument, and captures nothing. A C callback's pointers are the caller's for the
/// duration of the call, which runs on the loop: nothing is sent to another thread.
@inline(__always)
private func enter<Argument, Result>(
    _ context: UnsafeMutableRawPointer?, _ argument: Argument,
    _ body: @escaping @IOLoop (HTTP2Connection, Argument) -> Result
) -> Result {
    let connection = Unmanaged<HTTP2Connection>.fromOpaque(context!).takeUnretainedValue()
    return IOLoop.assumeIsolated(connection, argument, body)
}
