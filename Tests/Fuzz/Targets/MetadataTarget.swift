import BaseEncodings
import HTTP2Connection

@testable import GRPC

/// An input is a list of fields: a byte that chooses a name (or the length of one that follows), the value's length, the value.
enum MetadataTarget {
    private static let names = [
        ":method", ":path", "content-type", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "grpc-status",
        "grpc-message", "grpc-status-details-bin", "some", "some-bin", ":status", "te", "user-agent",
        "grpc-previous-rpc-attempts",
    ]
    private static let firstFreeName = 200

    static var seeds: [[UInt8]] {
        let call = [(":method", "POST"), (":path", "/a.B/C"), ("content-type", "application/grpc")]
        let status = Status(
            .resourceExhausted, "100 % ü\n",
            details: [.retry(afterMilliseconds: 1_500), .quotaFailure(subject: "a", description: "b")])
        let trailers = ResponseHead.trailers(status, Metadata()).map { ($0.name, $0.value) }
        return [
            call + [("grpc-timeout", "100m"), ("some", "text, more"), ("some-bin", "AAEC,/+8=, Zg")],
            call + [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity, gzip"), ("a_b.c-d", "x")],
            [(":status", "200"), ("content-type", "application/grpc+proto"), ("grpc-encoding", "gzip")] + trailers,
            [(":status", "503"), ("content-type", "text/html"), ("grpc-timeout", "99999999H")],
        ].map { $0.flatMap(field) }
    }

    private static func field(_ name: String, _ value: String) -> [UInt8] {
        let choice =
            names.firstIndex(of: name).map { [UInt8($0)] } ?? [UInt8(firstFreeName + name.utf8.count)]
            + Array(name.utf8)
        return choice + [UInt8(min(value.utf8.count, 255))] + Array(value.utf8.prefix(255))
    }

    static func run(_ input: [UInt8]) throws {
        var reader = InputReader(input)
        var fields: [HTTP2Header] = []
        while !reader.isAtEnd {
            let choice = Int(reader.byte())
            let name =
                choice >= firstFreeName
                ? String(decoding: reader.bytes(choice - firstFreeName), as: UTF8.self) : names[choice % names.count]
            let value = String(decoding: reader.bytes(Int(reader.byte())), as: UTF8.self)
            fields.append(HTTP2Header(name, value))
        }
        try checkRequest(fields)
        try checkResponse(fields)
        for field in fields { try checkText(field.value) }
    }

    private static func checkRequest(_ fields: [HTTP2Header]) throws {
        do {
            let head = try RequestHead(fields, tooLarge: false, limits: HTTP2Limits())
            try promise(head.path == "/\(head.service)/\(head.method)", "a path is its parts")
            let again = try Metadata(headers: head.metadata.headers)
            try promise(again == head.metadata, "metadata written is metadata read")
        } catch let rejection as RequestHead.Rejection {
            switch rejection {
            case .http(let status, _): try promise(status == 415 || status == 405, "an HTTP refusal is 415 or 405")
            case .status(let status): try promise(!status.isOK && !status.message.isEmpty, "a refusal says why")
            }
        }
    }

    private static func checkResponse(_ fields: [HTTP2Header]) throws {
        _ = ResponseStatus.encoding(of: fields)
        for status in [ResponseStatus.of(trailers: fields), ResponseStatus.of(headers: fields)] {
            guard let status else { continue }
            let limits = Limits()
            let trailers = ResponseHead.trailers(status, Metadata(), limits: limits)
            try promise(
                ResponseStatus.of(trailers: trailers) == status.fitting(limits), "a status written is the status read")
            let byteCount = trailers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
            try promise(
                byteCount <= limits.statusMessageBytesMax + limits.statusDetailsBytesMax + 100,
                "a status has \(byteCount) bytes of trailers")
        }
    }

    private static func checkText(_ text: String) throws {
        if let bytes = Base64.decode(text) {
            try promise(Base64.decode(Base64.encode(bytes)) == bytes, "base64 written is base64 read")
            try promise(bytes.count <= text.utf8.count, "base64 gets no longer")
        }
        let bytes = Array(text.utf8)
        try promise(Base64.decode(Base64.encode(bytes)) == bytes, "bytes survive base64")
        try promise(PercentEncoding.decode(PercentEncoding.encode(text)) == text, "text survives percent-encoding")
        _ = PercentEncoding.decode(text)
        let prefix = PercentEncoding.prefix(of: text, encodedBytesMax: 16)
        try promise(PercentEncoding.encode(prefix).utf8.count <= 16, "a prefix fits")
        if let nanoseconds = CallTimeout.decode(text) {
            let again = CallTimeout.decode(CallTimeout.encode(nanoseconds: nanoseconds))
            try promise(again.map { $0 >= nanoseconds } ?? false, "a timeout is not shortened on its way")
        }
    }
}
