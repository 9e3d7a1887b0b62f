internal import GzipCodec
internal import HTTP2Connection

/// How the messages of one direction of a call may be compressed (grpc/doc/compression.md); each message says whether it is.
package enum MessageEncoding: String, Sendable, CaseIterable {
    case identity, gzip

    /// The value of `grpc-accept-encoding`.
    static let accepted = allCases.map(\.rawValue).joined(separator: ",")

    /// Whether gzip is among those that the peer accepts.
    static func acceptsGzip(_ fields: some Sequence<String>) -> Bool {
        fields.contains { field in
            field.split(separator: ",").contains { $0.filter { $0 != " " && $0 != "\t" } == gzip.rawValue }
        }
    }
}

/// A message as it is sent.
struct EncodedMessage {
    let isCompressed: Bool
    let bytes: [UInt8]

    /// `wantsCompression` nil: compresses a message of at least that many bytes if that makes it smaller.
    init(_ message: [UInt8], _ encoding: MessageEncoding, wantsCompression: Bool?, compressedBytesMin: Int) {
        if encoding == .gzip, wantsCompression ?? (message.count >= compressedBytesMin),
            let compressed = Gzip.compress(message), wantsCompression == true || compressed.count < message.count
        {
            isCompressed = true
            bytes = compressed
        } else {
            isCompressed = false
            bytes = message
        }
    }
}
