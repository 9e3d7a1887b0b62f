import Foundation
import GRPC
import Testing

@testable import ConsumerAccess

struct KeyBookTests {
    private let now = Date(timeIntervalSince1970: 1_000_000)

    private func book(_ names: String...) throws -> (KeyBook, [KeySecret]) {
        var book = KeyBook()
        var secrets: [KeySecret] = []
        for name in names {
            let secret = KeySecret.random()
            try book.create(name, secret: secret, limits: KeyLimits(), now: now, lifetimeSeconds: nil)
            secrets.append(secret)
        }
        return (book, secrets)
    }

    @Test func `a key is found by its secret only, and holds nothing of it but a digest`() throws {
        let (book, secrets) = try book("one", "two")
        #expect(book.key(of: secrets[0])?.name == "one")
        #expect(book.key(of: secrets[1])?.name == "two")
        #expect(book.key(of: .random()) == nil)
        #expect(!"\(book)".contains(secrets[0].text))
        #expect(!"\(secrets[0])".contains(secrets[0].text.dropFirst(8)))
    }

    @Test func `a name is there once, until it is revoked, and then with another secret`() throws {
        var (book, secrets) = try book("one")
        #expect(throws: AccessError.self) {
            try book.create("one", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
        }
        #expect(book.keys.count == 1)
        try book.revoke("one")
        #expect(book.key(of: secrets[0]) == nil)
        try book.create("one", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
        #expect(book.key(of: secrets[0]) == nil)
    }

    @Test func `who revokes a key that is not there is told which are`() throws {
        var (book, _) = try book("one", "two")
        let error = #expect(throws: AccessError.self) { try book.revoke("three") }
        #expect(error?.description.contains("one, two") == true)
    }

    /// A book of this many keys with unknown secrets, followed by one with this secret.
    private func book(of count: Int, and secret: KeySecret) throws -> KeyBook {
        var keys = try (0..<count - 1).map { number in
            let bytes = withUnsafeBytes(of: UInt64(number).bigEndian) { [UInt8]($0) }
            let digest = try #require(SecretDigest([UInt8](repeating: 0, count: 24) + bytes))
            return AccessKey(
                name: "key-\(number)", sha256: digest, created: now, expires: nil, limits: KeyLimits())
        }
        keys.append(
            AccessKey(
                name: "mine", sha256: SecretDigest(of: secret), created: now, expires: nil, limits: KeyLimits()))
        return try KeyBook(keys)
    }

    @Test(arguments: [1, 100, AccessLimits.inForce.keysMax])
    func `a secret is compared with one key, and one that is unknown with none, however many there are`(
        count: Int
    ) throws {
        let secret = KeySecret.random()
        let book = try book(of: count, and: secret)
        #expect(book.keys.count == count)
        var comparisons = 0
        func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
            comparisons += 1
            return one == other
        }
        #expect(book.key(of: secret, areEqual: areEqual)?.name == "mine")
        #expect(comparisons == 1)
        #expect(book.key(of: .random(), areEqual: areEqual) == nil)
        #expect(comparisons == 1)
        #expect(book.key(of: secret) { _, _ in false } == nil)
    }

    @Test func `a book is full at its limit, and says so`() throws {
        var book = try book(of: AccessLimits.inForce.keysMax, and: .random())
        let error = #expect(throws: AccessError.self) {
            try book.create("more", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
        }
        #expect(error?.description.contains("\(AccessLimits.inForce.keysMax)") == true)
        let missing = #expect(throws: AccessError.self) { try book.revoke("more") }
        #expect((missing?.description.utf8.count ?? 0) < 1_000)
        try book.revoke("key-7")
        try book.create("more", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
    }

    @Test func `a key is found after those before it are gone`() throws {
        var (book, secrets) = try book("one", "two", "three")
        try book.revoke("one")
        #expect(book.key(of: secrets[0]) == nil)
        #expect(book.key(of: secrets[1])?.name == "two")
        #expect(book.key(of: secrets[2])?.name == "three")
    }

    @Test func `what has changed from one book to the next is known, and what was added is not in it`() throws {
        let (before, secrets) = try book("gone", "same", "other")
        var after = before
        try after.revoke("gone")
        try after.revoke("other")
        try after.create("new", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
        try after.create(
            "other", secret: secrets[2], limits: KeyLimits(streams: 1), now: now, lifetimeSeconds: nil)
        #expect(Set(before.changes(in: after)) == [SecretDigest(of: secrets[0]), SecretDigest(of: secrets[2])])
        #expect(before.changes(in: before).isEmpty)
    }

    @Test func `two keys with one digest are refused by name`() throws {
        let (book, _) = try book("one")
        let key = book.keys[0]
        let double = AccessKey(
            name: "two", sha256: key.sha256, created: now, expires: nil, limits: KeyLimits())
        let error = #expect(throws: AccessError.self) { try KeyBook([key, double]) }
        #expect(error?.description.contains("'one' and 'two'") == true)
        #expect(throws: AccessError.self) { try KeyBook([key, key]) }
    }

    @Test(arguments: ["", "a b", "naïve", "a/b", "a\"b", String(repeating: "a", count: 65), "a\n"])
    func `a name that is none is refused`(name: String) {
        var book = KeyBook()
        #expect(throws: AccessError.self) {
            try book.create(name, secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
        }
    }

    @Test func `limits of zero are refused`() {
        for limits in [
            KeyLimits(streams: 0), KeyLimits(tokensPerMinute: 0), KeyLimits(models: [""]),
            KeyLimits(models: Array(repeating: "m", count: 257)), KeyLimits(share: 0), KeyLimits(share: 1_001),
        ] {
            var book = KeyBook()
            #expect(throws: AccessError.self) {
                try book.create("one", secret: .random(), limits: limits, now: now, lifetimeSeconds: nil)
            }
        }
    }

    @Test func `an owner's key opens what is the owner's, a consumer's all else, and neither the other's`() throws {
        var book = KeyBook()
        try book.create("mine", isOwner: true, secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: 60)
        try book.create("theirs", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: nil)
        try AccessRefusal.check(book.keys[0], isOwners: true)
        try AccessRefusal.check(book.keys[1], isOwners: false)
        for (key, isOwners) in [(book.keys[0], false), (book.keys[1], true)] {
            let refusal = #expect(throws: Status.self) { try AccessRefusal.check(key, isOwners: isOwners) }
            #expect(refusal?.code == .permissionDenied)
            #expect(refusal?.message.contains("hearth key create") == true)
        }
    }

    @Test func `an owner's key gives no inference, so that limits of it are refused`() {
        for limits in [KeyLimits(streams: 1), KeyLimits(tokensPerMinute: 1), KeyLimits(models: ["m"])] {
            var book = KeyBook()
            #expect(throws: AccessError.self) {
                try book.create(
                    "mine", isOwner: true, secret: .random(), limits: limits, now: now, lifetimeSeconds: nil)
            }
        }
    }

    @Test func `a key expires at its second`() throws {
        var book = KeyBook()
        try book.create("one", secret: .random(), limits: KeyLimits(), now: now, lifetimeSeconds: 60)
        let key = try #require(book.keys.first)
        #expect(!key.isExpired(at: now))
        #expect(!key.isExpired(at: now.addingTimeInterval(59)))
        #expect(key.isExpired(at: now.addingTimeInterval(60)))
    }

    @Test func `a key without models allows all, another one its own`() {
        #expect(KeyLimits().allows(model: "any"))
        #expect(KeyLimits(models: ["a", "b"]).allows(model: "b"))
        #expect(!KeyLimits(models: ["a", "b"]).allows(model: "B"))
    }

    @Test(
        arguments: [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("4w", 2_419_200)]
            as [(String, UInt64)])
    func `times to expire in`(text: String, seconds: UInt64) throws {
        #expect(try KeyLifetime.seconds(text) == seconds)
    }

    @Test(arguments: [
        "", "d", "30", "0d", "-1d", "+1d", "1y", "1.5d", "99999999999999999999d", "3000000w", " 1d", "1 d",
    ])
    func `what is no time to expire in is refused with what is`(text: String) {
        let error = #expect(throws: AccessError.self) { try KeyLifetime.seconds(text) }
        #expect(error?.description.contains("30d") == true)
    }

    @Test func `secrets are 256 random bits, and what cannot be one is none`() throws {
        let texts = (0..<100).map { _ in KeySecret.random().text }
        #expect(Set(texts).count == 100)
        #expect(texts.allSatisfy { $0.hasPrefix("hearth_") && $0.count == 50 })
        // Six bits a digit: each of the 64 appears among 4300 of them.
        #expect(Set(texts.flatMap { $0.dropFirst(7) }).count == 64)
        #expect(KeySecret(texts[0])?.digest == KeySecret(texts[0])?.digest)
        #expect(KeySecret(texts[0])?.digest.count == 32)
        for wrong in [
            "", "hearth_", texts[0] + "a", String(texts[0].dropLast()), "Hearth_" + texts[0].dropFirst(7),
            texts[0].dropLast() + "=", texts[0].dropLast() + "é",
        ] {
            #expect(KeySecret(wrong) == nil)
        }
    }
}
