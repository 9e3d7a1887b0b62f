import Cryptography
import Testing

struct SecretBytesTests {
    @Test("Secrets differ from each other")
    func random() {
        #expect(Set((0..<100).map { _ in SecretBytes.random(32) }).count == 100)
        #expect(SecretBytes.random(32).count == 32 && SecretBytes.random(0) == [])
    }

    @Test("Secrets are equal in every byte and in length")
    func equality() {
        let secret = SecretBytes.random(32)
        #expect(SecretBytes.areEqual(secret, secret))
        #expect(!SecretBytes.areEqual(secret, secret.dropLast()) && !SecretBytes.areEqual(secret, secret + [0]))
        for index in secret.indices {
            var other = secret
            other[index] ^= 1
            #expect(!SecretBytes.areEqual(secret, other))
        }
    }
}
