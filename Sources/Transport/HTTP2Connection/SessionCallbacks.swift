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
            let id = frame!.pointee.hd.stream_id
            let isRequest = frame!.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
            return enter(context) { $0.beganHeaders(id, isRequest: isRequest) }
        }
        nghttp2_session_callbacks_set_on_header_callback(table) {
            _, frame, name, nameCount, value, valueCount, _, context in
            let id = frame!.pointee.hd.stream_id
            nonisolated(unsafe) let name = UnsafeBufferPointer(start: name, count: nameCount)
            nonisolated(unsafe) let value = stripped(UnsafeBufferPointer(start: value, count: valueCount))
            return enter(context) { $0.receivedHeader(id, name: name, value: value) }
        }
        nghttp2_session_callbacks_set_on_invalid_header_callback(table) {
            _, frame, name, nameCount, value, valueCount, _, context in
            let id = frame!.pointee.hd.stream_id
            nonisolated(unsafe) let name = UnsafeBufferPointer(start: name, count: nameCount)
            nonisolated(unsafe) let value = stripped(UnsafeBufferPointer(start: value, count: valueCount))
            return enter(context) { $0.receivedInvalidHeader(id, name: name, value: value) }
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) { session, _, id, bytes, count, context in
            nonisolated(unsafe) let bytes = UnsafeRawBufferPointer(start: bytes, count: count)
            return enter(context) { $0.receivedData(id, bytes) }
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(table) { _, frame, context in
            let frame = frame!.pointee
            return enter(context) { $0.receivedFrame(frame) }
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(table) { _, frame, context in
            let frame = frame!.pointee
            return enter(context) { $0.sentFrame(frame) }
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(table) { _, id, code, context in
            return enter(context) { $0.streamClosed(id, HTTP2ErrorCode(rawValue: code)) }
        }
        nghttp2_session_callbacks_set_send_data_callback(table) { _, _, header, count, source, context in
            let owner = sourceStream(source!.pointee.ptr)
            nonisolated(unsafe) let header = UnsafeRawBufferPointer(start: header, count: 9)
            return enter(context) { $0.takeData(of: owner, frameHeader: header, count: count) }
        }
        return table
    }

    /// What makes nghttp2 ask the stream for the bytes of its body.
    static func provider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
        var provider = nghttp2_data_provider()
        provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
        provider.read_callback = { session, _, _, capacity, flags, source, context in
            let owner = sourceStream(source!.pointee.ptr)
            nonisolated(unsafe) let flags = flags!
            let connection = contextConnection(context)
            return IOLoop.assumeIsolated { connection.nextData(of: owner, capacity: capacity, flags: flags) }
        }
        return provider
    }
}

// A C callback's pointers are the caller's for the time of the call, which runs on the loop: nothing is sent anywhere.

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

private func contextConnection(_ context: UnsafeMutableRawPointer?) -> HTTP2Connection {
    Unmanaged<HTTP2Connection>.fromOpaque(context!).takeUnretainedValue()
}

private func enter(_ context: UnsafeMutableRawPointer?, _ body: @IOLoop (HTTP2Connection) -> CInt) -> CInt {
    let connection = contextConnection(context)
    return IOLoop.assumeIsolated { body(connection) }
}
