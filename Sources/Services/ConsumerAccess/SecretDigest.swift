internal import BaseEncodings
internal import Cryptography

/// The SHA-256 of a key's secret, which is all that is ever kept of it. In files it is 64 hexadecimal digits.
package struct SecretDigest: Hashable, Sendable {
    // Four numbers rather than an array, because up to a hundred thousand digests are kept.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Nil unless there are 32 bytes.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == SHA256.byteCount else { return nil }
        words = bytes.withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
            return (word(0), word(1), word(2), word(3))
        }
    }

    /// The digest of the secret that a key's holder sends.
    package init(of secret: KeySecret) {
        guard let digest = SecretDigest(secret.digest) else { preconditionFailure("a SHA-256 has 32 bytes") }
        self = digest
    }

    var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    }

    package static func == (one: SecretDigest, other: SecretDigest) -> Bool { one.words == other.words }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

extension SecretDigest: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let bytes = fromHexadecimal(try container.decode(String.self).utf8), let digest = SecretDigest(bytes)
        else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no 64 hexadecimal digits")
        }
        self = digest
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hexadecimal(bytes))
    }
}
