internal import Cryptography

/// What the holder of a key sends: "hearth_" and 256 random bits in base64url (RFC 4648, section 5). Only its digest is
/// ever kept, and it does not describe itself, so that it cannot get into a log by accident.
package struct KeySecret: Sendable, CustomStringConvertible {
    /// The whole text, to be shown to its holder once.
    package let text: String

    private static let prefix = "hearth_"
    private static let byteCount = 32
    /// 32 bytes in base64url, without padding.
    private static let digitCount = 43

    /// A new one, which nobody has seen.
    package static func random() -> KeySecret {
        KeySecret(text: prefix + base64URL(SecretBytes.random(byteCount)))
    }

    /// Nil for a text that cannot be a secret of ours.
    package init?(_ text: some StringProtocol) {
        let digits = text.utf8.dropFirst(Self.prefix.utf8.count)
        guard text.hasPrefix(Self.prefix), digits.count == Self.digitCount, digits.allSatisfy(Self.isDigit) else {
            return nil
        }
        self.text = String(text)
    }

    private init(text: String) { self.text = text }

    /// SHA-256 of the text. A plain digest is enough: 256 random bits cannot be found by trying.
    package var digest: [UInt8] { Array(text.utf8).withUnsafeBytes { SHA256.digest($0) } }

    package var description: String { "hearth_..." }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 6 {
                bitCount -= 6
                text.append(alphabet[Int(bits >> UInt32(bitCount) & 63)])
            }
        }
        if bitCount > 0 { text.append(alphabet[Int(bits << UInt32(6 - bitCount) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
