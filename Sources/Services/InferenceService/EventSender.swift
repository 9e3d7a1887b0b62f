internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import WireFormat

/// What a service has sent, over all of its turns.
@IOLoop
final class SentTokens {
    var tokens: UInt64 = 0
}

/// Numbers and sends the events of one turn. Deltas, the hot path, are encoded in place into the stream's buffer.
@IOLoop
struct EventSender {
    private let call: ServerCall
    private let wantsTokenIDs: Bool
    private let sent: SentTokens
    private var lastSeq: UInt64 = 0
    /// So many tokens without text are told of even so.
    private static let pendingTokensMax: UInt32 = 256

    /// Tokens whose text is still held back; the next delta accounts for them.
    private var pendingTokens: UInt32 = 0
    private var pendingIDs: [UInt8] = []
    /// No sum of a turn's tokens overflows: `BackendConversation` takes no more of a sequence than its context has, whose
    /// length is a UInt32 too.
    private(set) var tokensSent: UInt32 = 0

    init(call: ServerCall, wantsTokenIDs: Bool, sent: SentTokens) {
        self.call = call
        self.sent = sent
        self.wantsTokenIDs = wantsTokenIDs
    }

    mutating func send(_ event: Hearth_V1_ChatEvent.OneOf_Event) {
        lastSeq += 1
        call.send(
            Hearth_V1_ChatEvent.with {
                $0.seq = lastSeq
                $0.event = event
            })
    }

    /// Sends the text of so many tokens; without text they wait for the next delta. `ids` are packed varints.
    mutating func sendDelta(text: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer) {
        if text.isEmpty || !pendingIDs.isEmpty {
            pendingTokens += tokens
            if wantsTokenIDs { pendingIDs.append(contentsOf: ids) }
            if !text.isEmpty || pendingTokens >= Self.pendingTokensMax { flushDelta(text: text) }
            return
        }
        encode(text: text, tokens: pendingTokens + tokens, ids: wantsTokenIDs ? ids : nil)
        pendingTokens = 0
    }

    /// Sends this text and accounts for all tokens that wait; nothing when there is neither.
    mutating func flushDelta(text: UnsafeRawBufferPointer) {
        guard !text.isEmpty || pendingTokens > 0 else { return }
        let ids = pendingIDs
        let tokens = pendingTokens
        pendingIDs.removeAll(keepingCapacity: true)
        pendingTokens = 0
        ids.withUnsafeBytes { encode(text: text, tokens: tokens, ids: $0) }
    }

    /// `ChatEvent { seq = 1; Delta delta = 4 { text = 1; token_count = 2; token_ids = 3 [packed] } }` in inference.proto.
    private mutating func encode(text: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer?) {
        lastSeq += 1
        tokensSent += tokens
        sent.tokens &+= UInt64(tokens)
        let seq = lastSeq
        let idBytes = ids?.count ?? 0
        var delta = WireSize.field(2, varint: UInt64(tokens))
        if !text.isEmpty { delta += WireSize.field(1, byteCount: text.count) }
        if idBytes > 0 { delta += WireSize.field(3, byteCount: idBytes) }
        call.send(byteCount: WireSize.field(1, varint: seq) + WireSize.field(4, byteCount: delta)) { memory in
            var writer = WireWriter(memory)
            writer.field(1, varint: seq)
            writer.field(4, byteCount: delta)
            if !text.isEmpty { writer.field(1, bytes: text) }
            writer.field(2, varint: UInt64(tokens))
            if let ids, !ids.isEmpty { writer.field(3, bytes: ids) }
        }
    }
}

extension Google_Protobuf_Duration {
    init(nanosecondsBetween start: Monotonic, _ end: Monotonic) {
        let nanoseconds = end.since(start)
        self.init(seconds: Int64(nanoseconds / 1_000_000_000), nanos: Int32(nanoseconds % 1_000_000_000))
    }
}
