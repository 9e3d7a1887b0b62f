internal import BaseEncodings
package import GRPC

/// gRPC as pages speak it: messages framed as in gRPC, in the body of an HTTP request (grpc/doc/PROTOCOL-WEB.md).
package enum GRPCWeb: Sendable {
    case binary
    /// All of it in base64, piece by piece, each with its padding.
    case text

    private static let mediaType = "application/grpc-web"

    /// The form that a media type names; nil: it is another one, or its messages are no protobuf.
    package init?(mediaType: String?) {
        let name = mediaType?.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
        switch name {
        case Self.mediaType, Self.mediaType + "+proto": self = .binary
        case Self.mediaType + "-text", Self.mediaType + "-text+proto": self = .text
        default: return nil
        }
    }

    /// The form of the answer: that of the request, unless the client accepts text by name.
    package func answering(accept: String?) -> GRPCWeb {
        (accept ?? "").lowercased().contains(Self.mediaType + "-text") ? .text : self
    }

    package var mediaType: String { self == .binary ? Self.mediaType + "+proto" : Self.mediaType + "-text+proto" }

    /// The only message of a request's body. Throws INTERNAL for a body that is none, and UNIMPLEMENTED for a compressed or a
    /// further message.
    package func message(in body: [UInt8]) throws(Status) -> [UInt8] {
        let bytes = self == .binary ? body : try Self.bytes(ofText: body)
        guard bytes.count >= MessagePrefix.byteCount else {
            throw Status(.internalError, "the body has \(bytes.count) bytes; a message has five before it")
        }
        let count = bytes.withUnsafeBytes { MessagePrefix.messageByteCount($0) }
        guard bytes[0] == 0 else {
            throw Status(
                .unimplemented, "the message begins with the flag \(bytes[0]): send one message, not compressed")
        }
        guard bytes.count - MessagePrefix.byteCount >= count else {
            throw Status(.internalError, "the body ends before its message, which has \(count) bytes")
        }
        guard bytes.count - MessagePrefix.byteCount == count else {
            throw Status(.unimplemented, "the body has more than one message: methods that pages can call take one")
        }
        return Array(bytes[MessagePrefix.byteCount...])
    }

    /// A message of the answer's body.
    package func frame(_ message: [UInt8]) -> [UInt8] { framed(0, message) }

    /// The last frame of an answer's body: what gRPC sends as trailers.
    package func frame(trailers: [(name: String, value: String)]) -> [UInt8] {
        framed(0x80, Array(trailers.map { "\($0.name): \($0.value)\r\n" }.joined().utf8))
    }

    private func framed(_ flag: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: MessagePrefix.byteCount)
        frame.withUnsafeMutableBytes { MessagePrefix.write($0, messageByteCount: payload.count) }
        frame[0] = flag
        frame += payload
        guard self == .text else { return frame }
        let text = Array(Base64.encode(frame).utf8)
        return text + [UInt8](repeating: UInt8(ascii: "="), count: (4 - text.count % 4) % 4)
    }

    /// The bytes of a text in base64 whose pieces may each have their padding.
    private static func bytes(ofText text: [UInt8]) throws(Status) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0 != UInt8(ascii: "=") }
            let padding = rest.dropFirst(digits.count).prefix { $0 == UInt8(ascii: "=") }
            guard padding.count <= 2, padding.isEmpty || (digits.count + padding.count) % 4 == 0,
                let piece = Base64.decode(String(decoding: digits, as: UTF8.self))
            else { throw Status(.internalError, "the body is not base64, as its content-type says") }
            bytes += piece
            rest = rest.dropFirst(digits.count + padding.count)
        }
        return bytes
    }
}

extension GRPCWeb {
    /// What a call carries besides its message, from the fields of its request; the caller's key and its trace are not among
    /// them, which `metadata` holds. Throws
    /// INTERNAL for a `grpc-timeout` or a binary value that is none.
    package static func options(
        _ fields: [(String, String)], metadata: Metadata
    ) throws(Status) -> CallOptions {
        var options = CallOptions(metadata: metadata)
        for (name, value) in fields {
            if name == "grpc-timeout" {
                guard let nanoseconds = CallTimeout.decode(value) else {
                    throw Status(.internalError, "'\(value.prefix(64))' is no grpc-timeout")
                }
                options.timeoutMilliseconds = nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1)
            } else if name.hasSuffix("-bin") {
                for part in value.split(separator: ",", omittingEmptySubsequences: false) {
                    guard let bytes = Base64.decode(part.filter { $0 != " " }) else {
                        throw Status(.internalError, "the metadata '\(name.prefix(64))' is not base64")
                    }
                    try options.metadata.add(name, binary: bytes)
                }
            } else if !isOfHTTP(name) {
                try options.metadata.add(name, value)
            }
        }
        return options
    }

    /// Fields that are about the request over HTTP, or about the page that sent it, and no metadata of the call.
    private static func isOfHTTP(_ name: String) -> Bool {
        switch name {
        case "authorization", "x-api-key", "x-grpc-web", "x-user-agent", "user-agent", "host", "origin", "referer",
            "cookie", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "via",
            "forwarded", "traceparent", "tracestate", "cache-control", "pragma", "dnt", "priority", "grpc-encoding",
            "grpc-accept-encoding":
            true
        default:
            name.hasPrefix("content-") || name.hasPrefix("accept") || name.hasPrefix("sec-")
                || name.hasPrefix("proxy-") || name.hasPrefix("x-forwarded-") || name.hasPrefix("access-control-")
        }
    }

    /// The status of a method that takes more than one request, which pages cannot send; nil for all others.
    package static func refusal(method: String) -> Status? {
        guard method == "Chat" else { return nil }
        return Status(
            .unimplemented,
            "Chat takes a stream of requests, which gRPC-Web cannot send: ask Generate, which streams its answer, with "
                + "the conversation so far")
    }
}
