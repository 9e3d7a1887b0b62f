internal import BaseEncodings
internal import Cryptography

/// The secret that the holder of a key sends: "hearth_" and 256 random bits in base64url (RFC 4648, section 5). Only
/// its digest is ever kept. Its description does not contain it, so that it cannot get into a log by accident.
package struct KeySecret: Sendable, CustomStringConvertible {
    /// The whole text, to be shown to its holder once.
    package let text: String

    private static let prefix = "hearth_"
    private static let byteCount = 32
    /// 32 bytes in base64url, without padding.
    private static let digitCount = 43

    /// Makes a new random secret.
    package static func random() -> KeySecret {
        KeySecret(text: prefix + Base64.encode(SecretBytes.random(byteCount), .url))
    }

    /// Nil for a text that cannot be such a secret.
    package init?(_ text: some StringProtocol) {
        let digits = text.dropFirst(Self.prefix.count)
        guard text.hasPrefix(Self.prefix), digits.utf8.count == Self.digitCount, Base64.decode(digits, .url) != nil
        else { return nil }
        self.text = String(text)
    }

    private init(text: String) { self.text = text }

    /// SHA-256 of the text. A plain digest is enough: 256 random bits cannot be found by trying.
    package var digest: [UInt8] { Array(text.utf8).withUnsafeBytes { SHA256.digest($0) } }

    package var description: String { "hearth_..." }
}
