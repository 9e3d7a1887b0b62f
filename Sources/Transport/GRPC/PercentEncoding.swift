internal import BaseEncodings

/// The form of `grpc-message`: UTF-8 with everything but printable ASCII, and "%", as %XX
/// (grpc/doc/PROTOCOL-HTTP2.md, "Responses"). Pure.
enum PercentEncoding {
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "%") {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// The text, or its longest prefix with an ellipsis that takes at most `encodedBytesMax` bytes when it is encoded.
    static func prefix(of text: String, encodedBytesMax: Int) -> String {
        // Each byte becomes one to three, so that a long text can be cut without encoding all of it.
        guard text.utf8.count > encodedBytesMax / 3,
            text.utf8.count > encodedBytesMax || encode(text).utf8.count > encodedBytesMax
        else { return text }
        let ellipsis: Unicode.Scalar = "\u{2026}"
        var left = encodedBytesMax - encode(String(ellipsis)).utf8.count
        var prefix = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            left -= encode(String(scalar)).utf8.count
            guard left >= 0 else { break }
            prefix.append(scalar)
        }
        prefix.append(ellipsis)
        return String(prefix)
    }

    /// Malformed sequences stay as they are: a malformed message must not hide a status.
    static func decode(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = valueOfHexadecimal(bytes[index + 1]), let low = valueOfHexadecimal(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
