import SeededRandom
import Testing
import WireFormat

@Suite("UTF8Text")
struct UTF8TextTests {
    private func prefix(_ bytes: [UInt8]) -> (Int, UTF8Text.Rest) {
        let prefix = bytes.withUnsafeBytes { UTF8Text.prefix(of: $0) }
        return (prefix.byteCount, prefix.rest)
    }

    @Test("text cut anywhere is whole scalars and an unfinished tail")
    func cutAnywhere() {
        let text = "plain ascii, longer than eight, äöü €uro 🔥 \u{10ffff}\u{0}"
        let bytes = Array(text.utf8)
        for length in 0...bytes.count {
            let (count, rest) = prefix(Array(bytes[..<length]))
            #expect(rest == (count == length ? .nothing : .unfinished))
            #expect(length - count < 4)
            #expect(String(validating: bytes[..<count], as: UTF8.self) != nil)
        }
    }

    @Test(
        "bytes that can never be UTF-8 are invalid where they stand",
        arguments: [
            [0x80], [0xc0, 0x80], [0xc1], [0xe0, 0x9f, 0xbf], [0xed, 0xa0, 0x80], [0xf0, 0x8f, 0xbf, 0xbf],
            [0xf4, 0x90, 0x80, 0x80], [0xf5], [0xff], [0xe2, 0x28], [0xe2, 0x82, 0x28], [0xf0, 0x9f, 0x94, 0x20],
        ] as [[UInt8]])
    func invalid(bytes: [UInt8]) {
        let (count, rest) = prefix(Array("ab".utf8) + bytes)
        #expect(count == 2)
        guard case .invalid(let maximalPart) = rest else { return #expect(Bool(false), "\(rest)") }
        let expected = [[0xe2, 0x28]: 1, [0xe2, 0x82, 0x28]: 2, [0xf0, 0x9f, 0x94, 0x20]: 3][bytes] ?? 1
        #expect(maximalPart == expected)
    }

    @Test("the verdict on random bytes is that of the standard library")
    func standardLibrary() {
        var random = SeededRandom(seed: 3)
        // Bytes near the borders of the ranges come up often.
        let likely: [UInt8] = [
            0x20, 0x7f, 0x80, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0x9f, 0xa0, 0xf0, 0x90, 0x8f, 0xf4,
        ]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<12, using: &random)).map { _ in likely.randomElement(using: &random)! }
            let isValid = bytes.withUnsafeBytes { UTF8Text.isValid($0) }
            #expect(isValid == (String(validating: bytes, as: UTF8.self) != nil))
        }
    }
}
