/// The tokens that the backend `echo` makes: a pure function of a seed, a prompt and an index. Tests recompute it to
/// know every token that a consumer must see; `Backends/echo/README.md` describes it for other languages.
package struct EchoTokens: Equatable, Sendable {
    /// Token ids go from 0 to below this.
    package static let vocabulary: UInt32 = 8192

    private let state: UInt64

    package init(seed: UInt64, prompt: EchoPrompt) { state = seed ^ prompt.digest }

    /// The id of the token at an index, which counts from 0: the upper 13 bits of SplitMix64's output.
    package func id(at index: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: output(at: index) >> 51) }

    /// SplitMix64's output at an index, which counts from 0.
    package func output(at index: UInt64) -> UInt64 {
        var z = state &+ (index &+ 1) &* 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// The texts of tokens in a row.
    package func text(_ indices: Range<UInt64>) -> String {
        var text = ""
        for index in indices { text += Self.text(of: id(at: index)) }
        return text
    }

    /// A token's text: a blank and a word of four or five letters.
    package static func text(of id: UInt32) -> String {
        let packed = packedText(of: id)
        return withUnsafeBytes(of: packed.bytes) { String(decoding: $0.prefix(packed.count), as: UTF8.self) }
    }

    /// The same, without a string: `count` bytes in the order of memory.
    package static func packedText(of id: UInt32) -> (bytes: UInt64, count: Int) {
        var bytes: UInt64 = 0x20
        bytes |= consonant(id >> 8) << 8
        bytes |= vowel(id >> 6) << 16
        bytes |= consonant(id >> 2) << 24
        bytes |= vowel(id) << 32
        guard id & 0x1000 != 0 else { return (bytes.littleEndian, 5) }
        return ((bytes | UInt64(UInt8(ascii: "s")) << 40).littleEndian, 6)
    }

    /// A time as the text of a token, five bytes in the order of memory: a blank, and its microseconds modulo 2^24 in four
    /// digits of base64url (RFC 4648, section 5), the most significant first.
    package static func packedStamp(nanoseconds: UInt64) -> UInt64 {
        let microseconds = nanoseconds / 1_000
        var bytes: UInt64 = 0x20
        for place in 0..<4 as Range<UInt64> {
            let digit = UInt8(truncatingIfNeeded: microseconds >> (18 - place * 6)) & 63
            let letter =
                switch digit {
                case 0..<26: UInt8(ascii: "A") + digit
                case 26..<52: UInt8(ascii: "a") + digit - 26
                case 52..<62: UInt8(ascii: "0") + digit - 52
                case 62: UInt8(ascii: "-")
                default: UInt8(ascii: "_")
                }
            bytes |= UInt64(letter) << (8 + place * 8)
        }
        return bytes.littleEndian
    }

    /// The letter at `number` modulo 16 of "bdfghklmnprtvwyz".
    private static func consonant(_ number: UInt32) -> UInt64 {
        let letters: (first: UInt64, second: UInt64) = (0x6d6c_6b68_6766_6462, 0x7a79_7776_7472_706e)
        let half = number & 8 == 0 ? letters.first : letters.second
        return half >> (UInt64(number & 7) * 8) & 0xff
    }

    /// The letter at `number` modulo 4 of "aeio".
    private static func vowel(_ number: UInt32) -> UInt64 { 0x6f69_6561 >> (UInt64(number & 3) * 8) & 0xff }
}
