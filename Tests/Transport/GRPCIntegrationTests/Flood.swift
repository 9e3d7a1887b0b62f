import GRPC
import HTTP2Connection
import Testing

/// An attack with frames that cost their sender less than us, and the limit that it meets.
struct Flood: CustomTestStringConvertible {
    let limit: HTTP2Limits.Name
    let variant: String
    let bytes: [UInt8]
    var limits = Limits()

    init(
        _ limit: HTTP2Limits.Name, variant: String = "", _ bytes: [UInt8],
        _ change: (inout Limits) -> Void = { _ in }
    ) {
        self.limit = limit
        self.variant = variant
        self.bytes = bytes
        change(&limits)
    }

    /// What GOAWAY says first. For pings the words are gRPC's, and make its clients send fewer.
    var words: String { limit == .pingStrikesMax ? "too_many_pings" : "\(limit.rawValue): " }

    var testDescription: String { "\(limit.rawValue) \(variant)" }

    static let begin = Frame.preface + Frame.settings()

    /// So many frames, each for a stream of its own.
    static func many(_ count: Int, _ frame: (UInt32) -> [UInt8]) -> [UInt8] {
        (0..<UInt32(count)).flatMap { frame($0 * 2 + 1) }
    }

    private static let open = begin + Frame.headers(stream: 1, "/test.Echo/Hang")

    static let all: [Flood] = [
        Flood(.settingsPerSecondMax, begin + many(5_000) { _ in Frame.settings() }),
        Flood(.settingsEntriesMax, begin + Frame.settings((0..<33).map { (0x2a00 + $0, 1) })),
        Flood(
            .acknowledgementsPerSecondMax, variant: "of pings",
            begin + many(5_000) { _ in Frame.ping(isAcknowledgement: true) }),
        Flood(.pingStrikesMax, begin + many(20_000) { _ in Frame.ping() }),
        Flood(.prioritiesPerSecondMax, begin + many(20_000) { _ in Frame.priority(stream: 3) }),
        Flood(
            .windowUpdatesPerSecondMax, variant: "of the connection",
            open + many(20_000) { _ in Frame.windowUpdate(stream: 0, 1) }),
        Flood(
            .windowUpdatesPerSecondMax, variant: "of a stream",
            open + many(20_000) { _ in Frame.windowUpdate(stream: 1, 1) }),
        Flood(.emptyDataPerSecondMax, open + many(20_000) { _ in Frame.data(stream: 1) }),
        Flood(
            .emptyDataPerSecondMax, variant: "with padding",
            open + many(5_000) { _ in Frame.make(type: 0, flags: 8, stream: 1, [9] + [UInt8](repeating: 0, count: 9)) }),
        Flood(.smallDataPerSecondMax, open + many(20_000) { _ in Frame.data(stream: 1, [0]) }) {
            $0.http2.smallDataPerSecondMax = 1_000
        },
        Flood(
            .otherFramesPerSecondMax, variant: "of a type that is unknown",
            begin + many(5_000) { _ in Frame.make(type: 0xee) }),
        Flood(.otherFramesPerSecondMax, variant: "of GOAWAY", open + many(5_000) { _ in Frame.goAway() }),
        Flood(
            .resetsPerSecondMax,
            begin + many(5_000) { Frame.headers(stream: $0, "/test.Echo/Hang") + Frame.reset(stream: $0) }),
        Flood(
            .lateResetsPerSecondMax,
            open + Frame.reset(stream: 1) + many(20_000) { _ in Frame.reset(stream: 1) }),
        Flood(
            .brokenStreamsPerSecondMax, variant: "by an overflow of the window",
            begin
                + many(2_000) {
                    Frame.headers(stream: $0, "/test.Echo/Hang") + Frame.windowUpdate(stream: $0, 0x7fff_ffff)
                }),
        Flood(
            .brokenStreamsPerSecondMax, variant: "by requests without a path",
            begin + many(2_000) { Frame.make(type: 1, flags: 5, stream: $0, Frame.field(":method", "POST")) }),
        Flood(
            .refusedStreamsPerSecondMax, begin + many(2_000) { Frame.headers(stream: $0, "/test.Echo/Hang") }
        ) { $0.http2.concurrentStreamsMax = 10 },
        Flood(.queuedFramesMax, begin + many(50) { _ in Frame.settings() }) { $0.http2.queuedFramesMax = 10 },
        Flood(
            .continuationsMax, variant: "without a byte",
            begin + Frame.headers(stream: 1, "/x", more: true) + many(1_000) { _ in Frame.continuation(stream: 1) }),
        Flood(
            .continuationsMax, variant: "of a stream that is refused",
            open + Frame.headers(stream: 3, "/x", more: true) + many(1_000) { _ in Frame.continuation(stream: 3) }
        ) { $0.http2.concurrentStreamsMax = 1 },
        Flood(
            .headerBlockBytesMax, variant: "of a stream that is refused",
            open + Frame.headers(stream: 3, "/x", more: true)
                + many(8) { _ in Frame.continuation(stream: 3, [UInt8](repeating: 0x82, count: 16_384)) }
        ) { $0.http2.concurrentStreamsMax = 1 },
        Flood(
            .headerListBytesMax, variant: "of literals",
            begin + Frame.headers(stream: 1, "/x", more: true)
                + many(8) { _ in
                    Frame.continuation(
                        stream: 1, (0..<150).flatMap { _ in Frame.field("x", String(repeating: "y", count: 100)) })
                }),
        Flood(
            .headerListBytesMax, variant: "of references to the dynamic table",
            begin + Frame.headers(stream: 1, "/x", more: true)
                + Frame.continuation(stream: 1, Frame.field("x", String(repeating: "y", count: 4_000), indexed: true))
                + Frame.continuation(stream: 1, [UInt8](repeating: 0x80 | 62, count: 16_000))),
        Flood(
            .headerListBytesMax, variant: "of trailers",
            open
                + Frame.make(
                    type: 1, flags: 1, stream: 1, Frame.field("x", String(repeating: "y", count: 4_000), indexed: true))
                + Frame.continuation(stream: 1, [UInt8](repeating: 0x80 | 62, count: 16_000))),
    ]
}
