import Cryptography
import Testing

struct HexadecimalTests {
    @Test("Digits are hexadecimal and lower case")
    func digits() { #expect(hexadecimal([0, 1, 171, 255] as [UInt8]) == "0001abff") }

    @Test("Digits of either case are read, and nothing else")
    func reading() {
        #expect(fromHexadecimal("0001aBFf".utf8) == [0, 1, 171, 255])
        #expect(fromHexadecimal("".utf8) == [])
        for text in ["0", "0g", "0x", " 00", "é"] { #expect(fromHexadecimal(text.utf8) == nil) }
    }
}
