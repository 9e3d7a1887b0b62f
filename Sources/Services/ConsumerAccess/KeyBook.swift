internal import Cryptography

package import struct Foundation.Date

/// All keys of a host. Pure; `KeyFile` keeps it.
///
/// Looking up a secret costs the same with one key and with `AccessLimits.keysMax`.
package struct KeyBook: Sendable {
    /// The keys, in the order in which they were made.
    package private(set) var keys: [AccessKey] = []
    /// The index in `keys`, by the digest of the secret.
    private var places: [SecretDigest: Int] = [:]

    package init() {}

    /// Throws if the keys of a file are invalid.
    init(_ keys: [AccessKey]) throws(AccessError) {
        try Self.checkCount(keys.count)
        self.keys = keys
        places.reserveCapacity(keys.count)
        var names: Set<String> = []
        names.reserveCapacity(keys.count)
        for (place, key) in keys.enumerated() {
            try key.validate()
            guard names.insert(key.name).inserted else { throw Self.isThere(key.name) }
            if let other = places.updateValue(place, forKey: key.sha256) {
                throw AccessError("the keys '\(keys[other].name)' and '\(key.name)' have the same sha256")
            }
        }
    }

    /// Adds a key for this secret. Throws when the name is taken or invalid, a limit is zero or an owner's, or the book is full.
    package mutating func create(
        _ name: String, isOwner: Bool = false, secret: KeySecret, limits: KeyLimits, now: Date,
        lifetimeSeconds: UInt64?
    ) throws(AccessError) {
        let key = AccessKey(
            name: name, isOwner: isOwner, sha256: SecretDigest(of: secret),
            // Rounded to whole seconds, as the file has it.
            created: Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down)),
            expires: lifetimeSeconds.map {
                Date(timeIntervalSince1970: (now.timeIntervalSince1970 + Double($0)).rounded(.down))
            }, limits: limits)
        try Self.checkCount(keys.count + 1)
        try key.validate()
        guard !keys.contains(where: { $0.name == name }) else { throw Self.isThere(name) }
        guard places[key.sha256] == nil else { throw AccessError("the secret of '\(name)' is another key's") }
        places[key.sha256] = keys.count
        keys.append(key)
    }

    /// Throws when there is no such key; the error names the existing ones, or some of them.
    package mutating func revoke(_ name: String) throws(AccessError) {
        guard let index = keys.firstIndex(where: { $0.name == name }) else {
            throw AccessError("there is no key '\(name)'; \(namesInWords)")
        }
        places[keys[index].sha256] = nil
        keys.remove(at: index)
        for place in index..<keys.count { places[keys[place].sha256] = place }
    }

    private static let namesShownMax = 20

    private var namesInWords: String {
        guard !keys.isEmpty else { return "there are none" }
        let names = keys.prefix(Self.namesShownMax).map(\.name).joined(separator: ", ")
        let more = keys.count - Self.namesShownMax
        return more > 0 ? "there are: \(names) and \(more) more (hearth key list)" : "there are: \(names)"
    }

    private static func checkCount(_ count: Int) throws(AccessError) {
        guard count <= AccessLimits.inForce.keysMax else {
            throw AccessError("there are \(AccessLimits.inForce.keysMax) keys already: revoke one first")
        }
    }

    private static func isThere(_ name: String) -> AccessError {
        AccessError("there is a key '\(name)' already: revoke it first, or choose another name")
    }
}

extension KeyBook {
    /// The key with this secret.
    ///
    /// The one key with its digest is looked up, and then compared in constant time. The time of the lookup depends on
    /// the digests in the book, but reveals nothing useful: an attacker chooses secrets, not digests, and knowing a
    /// digest that begins like a secret's own does not help to find that secret of 256 random bits. The comparison
    /// decides, so that this relies on no property of a hash table.
    package func key(of secret: KeySecret) -> AccessKey? { key(of: secret, areEqual: SecretBytes.areEqual) }

    /// `areEqual` is for a test, which counts its calls.
    func key(of secret: KeySecret, areEqual: ([UInt8], [UInt8]) -> Bool) -> AccessKey? {
        let digest = SecretDigest(of: secret)
        guard let place = places[digest], areEqual(keys[place].sha256.bytes, digest.bytes) else { return nil }
        return keys[place]
    }

    /// The key with this digest as it is now; nil: it is gone.
    func key(_ sha256: SecretDigest) -> AccessKey? { places[sha256].map { keys[$0] } }

    /// Keys of this book that are gone from a newer one, or have other limits there. Looks at every key.
    package func changes(in newer: KeyBook) -> [SecretDigest] {
        keys.filter { newer.key($0.sha256) != $0 }.map(\.sha256)
    }
}

extension KeyBook: Equatable {
    package static func == (one: KeyBook, other: KeyBook) -> Bool { one.keys == other.keys }
}

extension KeyBook: Codable {
    /// Earlier versions called the keys `tokens`.
    private enum Keys: String, CodingKey, CaseIterable { case keys, tokens }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(Keys.self)
        let key = container.contains(.keys) ? Keys.keys : container.contains(.tokens) ? .tokens : .keys
        try self.init(try container.decode([AccessKey].self, forKey: key))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(keys, forKey: .keys)
    }
}
