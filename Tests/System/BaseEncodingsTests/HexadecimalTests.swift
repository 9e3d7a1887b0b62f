import BaseEncodings
import Testing

struct HexadecimalTests {
    @Test(
        "What is written is what RFC 4648 writes, in lower case (section 10)",
        arguments: [
            ("", ""), ("f", "66"), ("fo", "666f"), ("foo", "666f6f"), ("foob", "666f6f62"), ("fooba", "666f6f6261"),
            ("foobar", "666f6f626172"),
        ])
    func vectors(text: String, digits: String) {
        #expect(hexadecimal(text.utf8) == digits)
        #expect(fromHexadecimal(digits.utf8) == Array(text.utf8))
    }

    @Test("Every byte comes back")
    func bytes() {
        let all = [UInt8](0...255)
        #expect(hexadecimal([0, 1, 171, 255] as [UInt8]) == "0001abff")
        #expect(fromHexadecimal(hexadecimal(all).utf8) == all)
    }

    @Test("Digits of either case are read, and nothing else")
    func reading() {
        #expect(fromHexadecimal("0001aBFf".utf8) == [0, 1, 171, 255])
        for text in ["0", "0g", "0x", " 00", "é", "+f", "-1"] { #expect(fromHexadecimal(text.utf8) == nil, "\(text)") }
    }
}
