import BaseEncodings
import Testing

struct Base64Tests {
    @Test(
        "What is written is what RFC 4648 writes, without its padding (section 10)",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(text: String, padded: String) {
        let bytes = Array(text.utf8)
        #expect(Base64.encode(bytes) == String(padded.prefix { $0 != "=" }))
        #expect(Base64.decode(padded) == bytes)
    }

    @Test("It is read with and without padding, whatever its length", arguments: [Base64.Alphabet.standard, .url])
    func padding(alphabet: Base64.Alphabet) {
        for count in 0...50 {
            let bytes = (0..<count).map { UInt8($0 * 37 & 255) }
            let text = Base64.encode(bytes, alphabet)
            #expect(Base64.decode(text, alphabet) == bytes)
            #expect(Base64.decode(text + String(repeating: "=", count: (4 - text.count % 4) % 4), alphabet) == bytes)
        }
    }

    @Test("The two alphabets differ in two digits, and neither is read for the other")
    func alphabets() {
        #expect(Base64.encode([0xfb, 0xff]) == "+/8")
        #expect(Base64.encode([0xfb, 0xff], .url) == "-_8")
        #expect(Base64.decode("-_8", .url) == [0xfb, 0xff])
        #expect(Base64.decode("-_8") == nil)
        #expect(Base64.decode("+/8", .url) == nil)
    }

    @Test(
        "What is no base64 is refused",
        arguments: ["A", "AQ=", "A===", "====", "A Q", "AQ\n", "ü", "A-_B", "AAAAA", "A=AA", "AA==AAAA"])
    func refused(text: String) { #expect(Base64.decode(text) == nil) }
}
