internal import BaseEncodings
internal import HTTP2Connection

/// The metadata of a call: keys with ASCII values, and keys ending in "-bin" with bytes.
///
/// Keys are lower case and may come more than once; the order is kept. grpc/doc/PROTOCOL-HTTP2.md, "Custom-Metadata".
package struct Metadata: Hashable, Sendable {
    package enum Value: Hashable, Sendable {
        case ascii(String)
        case binary([UInt8])
    }

    package struct Entry: Hashable, Sendable {
        package let key: String
        package let value: Value
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// The first ASCII value of a key.
    package subscript(key: String) -> String? {
        for entry in entries where entry.key == key {
            if case .ascii(let text) = entry.value { return text }
        }
        return nil
    }

    /// The first bytes of a key that ends in "-bin".
    package func binary(_ key: String) -> [UInt8]? {
        for entry in entries where entry.key == key {
            if case .binary(let bytes) = entry.value { return bytes }
        }
        return nil
    }

    /// Adds printable ASCII. Throws INTERNAL for a key or value that cannot be sent.
    package mutating func add(_ key: String, _ value: String) throws(Status) {
        guard Metadata.isKey(key), !key.hasSuffix("-bin") else {
            throw Status(.internalError, "'\(key)' is no metadata key for text: use a-z, 0-9, '_', '-' and '.'")
        }
        guard value.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw Status(.internalError, "the value of '\(key)' is not printable ASCII: use a key that ends in -bin")
        }
        entries.append(Entry(key: key, value: .ascii(value)))
    }

    /// Adds bytes; the key ends in "-bin". Throws INTERNAL for one that does not.
    package mutating func add(_ key: String, binary value: [UInt8]) throws(Status) {
        guard Metadata.isKey(key), key.hasSuffix("-bin") else {
            throw Status(.internalError, "'\(key)' is no metadata key for bytes: it must end in -bin")
        }
        entries.append(Entry(key: key, value: .binary(value)))
    }

    private static func isKey(_ key: String) -> Bool {
        !key.isEmpty && !isReserved(key)
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
                default: false
                }
            }
    }

    /// Whether this is a field name of HTTP/2, which allows more characters than a key of gRPC (RFC 9110, section
    /// 5.6.2).
    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Names that gRPC or HTTP/2 reserve.
    static func isReserved(_ name: String) -> Bool {
        switch name {
        case "grpc-trace-bin", "grpc-tags-bin", "grpc-status-details-bin", "grpc-previous-rpc-attempts",
            "grpc-retry-pushback-ms":
            false
        case "content-type", "te": true
        default: name.hasPrefix("grpc-") || name.hasPrefix(":")
        }
    }
}

extension Metadata {
    /// Takes the custom metadata out of a header list. Throws INTERNAL for malformed names and values, and
    /// RESOURCE_EXHAUSTED for more values than a header list may have fields: each comma in a binary one begins another
    /// value.
    init(headers: [HTTP2Header], limits: HTTP2Limits = HTTP2Limits()) throws(Status) {
        for header in headers where !Metadata.isReserved(header.name) {
            guard Metadata.isToken(header.name) else {
                throw Status(.internalError, "'\(header.name.prefix(64))' is no metadata key: it is no name in HTTP")
            }
            if header.name.hasSuffix("-bin") {
                // Equal keys may have been joined with commas on the way.
                let parts = header.value.split(
                    separator: ",", maxSplits: limits.headerCountMax, omittingEmptySubsequences: false)
                guard entries.count + parts.count <= limits.headerCountMax else {
                    throw .limitMet(
                        HTTP2Limits.Name.headerListBytesMax.rawValue,
                        "the metadata has more than \(limits.headerCountMax) values", subject: "metadata")
                }
                for part in parts {
                    guard let bytes = Base64.decode(Metadata.trimmed(part)) else {
                        throw Status(.internalError, "the metadata '\(header.name)' is not base64")
                    }
                    entries.append(Entry(key: header.name, value: .binary(bytes)))
                }
            } else {
                guard header.value.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
                    throw Status(.internalError, "the metadata '\(header.name)' is not printable ASCII")
                }
                entries.append(Entry(key: header.name, value: .ascii(header.value)))
            }
        }
    }

    var headers: [HTTP2Header] {
        entries.map { entry in
            switch entry.value {
            case .ascii(let text): HTTP2Header(entry.key, text)
            case .binary(let bytes): HTTP2Header(entry.key, Base64.encode(bytes))
            }
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}
