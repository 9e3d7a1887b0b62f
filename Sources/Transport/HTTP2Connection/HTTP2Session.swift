internal import CNghttp2
internal import EventLoop

/// Owns an nghttp2 session; used on the loop only, freed with its connection.
struct HTTP2Session: ~Copyable {
    let pointer: OpaquePointer

    init(isServer: Bool, limits: HTTP2Limits) {
        var option: OpaquePointer?
        nghttp2_option_new(&option)
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        // gRPC has blanks at the ends of a value stripped, where HTTP/2 refuses them (PROTOCOL-HTTP2.md, "ASCII-Value").
        nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1)
        nghttp2_option_set_peer_max_concurrent_streams(option, 100)
        // nghttp2's own budgets answer with other codes; they are set so high that ours are met first.
        nghttp2_option_set_stream_reset_rate_limit(option, 1 << 32, 1 << 32)
        nghttp2_option_set_max_continuations(option, limits.continuationsMax + 1)
        nghttp2_option_set_max_settings(option, limits.settingsEntriesMax + 1)
        nghttp2_option_set_max_outbound_ack(option, limits.queuedFramesMax)
        var created: OpaquePointer?
        let failed =
            isServer
            ? nghttp2_session_server_new2(&created, SessionCallbacks.table, nil, option)
            : nghttp2_session_client_new2(&created, SessionCallbacks.table, nil, option)
        nghttp2_option_del(option)
        guard failed == 0, let created else { fatalError("nghttp2 has no memory for a session") }
        pointer = created
    }

    deinit { nghttp2_session_del(pointer) }

    /// Sets the context of every callback: the connection, which keeps itself alive during calls into nghttp2.
    func setContext(_ context: UnsafeMutableRawPointer) { nghttp2_session_set_user_data(pointer, context) }

    /// Submits our SETTINGS, and the connection's window, which SETTINGS do not cover (RFC 9113, section 6.9.2).
    func announce(isServer: Bool, limits: HTTP2Limits) {
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: limits.streamWindowBytes),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_FRAME_SIZE.rawValue), value: limits.frameBytesMax),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(clamping: limits.headerListBytesMax)),
            isServer
                ? nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: limits.concurrentStreamsMax)
                : nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
        ]
        nghttp2_submit_settings(pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), &settings, settings.count)
        nghttp2_session_set_local_window_size(
            pointer, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(clamping: limits.connectionWindowBytes))
    }

    var wantsRead: Bool { nghttp2_session_want_read(pointer) != 0 }
    var wantsWrite: Bool { nghttp2_session_want_write(pointer) != 0 }
    var queuedFrames: Int { nghttp2_session_get_outbound_queue_size(pointer) }
}

/// Calls `body` with a header list in nghttp2's form, which is valid during the call; nghttp2 copies what it keeps.
func withNameValues<Result>(
    _ headers: [HTTP2Header], _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Result
) -> Result {
    var text: [UInt8] = []
    for header in headers {
        text.append(contentsOf: header.name.utf8)
        text.append(contentsOf: header.value.utf8)
    }
    return text.withUnsafeMutableBufferPointer { text in
        var position = text.baseAddress
        var fields: [nghttp2_nv] = []
        fields.reserveCapacity(headers.count)
        for header in headers {
            let name = position
            let nameCount = header.name.utf8.count
            let value = position.map { $0 + nameCount }
            let valueCount = header.value.utf8.count
            position = value.map { $0 + valueCount }
            fields.append(
                nghttp2_nv(
                    name: name, value: value, namelen: nameCount, valuelen: valueCount,
                    flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
        }
        return fields.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
}
