import BaseEncodings
import Cryptography
import Testing

struct SHA256Tests {
    /// FIPS 180-4, the examples of its appendix: one block, and two.
    @Test(
        "Digests are those of the standard's examples",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func examples(text: String, digest: String) {
        let bytes = Array(text.utf8)
        #expect(hexadecimal(bytes.withUnsafeBytes { SHA256.digest($0) }) == digest)
        var hash = SHA256()
        for byte in bytes { withUnsafeBytes(of: byte) { hash.update($0) } }
        #expect(hexadecimal(hash.finalize()) == digest)
    }
}
