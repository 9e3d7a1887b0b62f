internal import TLSSession

package import struct Foundation.Date

/// All tokens of a host. Pure; `TokenFile` keeps it.
///
/// Whose a secret is costs the same with one token and with `AccessLimits.tokensMax`.
package struct TokenBook: Sendable {
    /// In the order in which they were made.
    package private(set) var tokens: [AccessToken] = []
    /// Where in it, by the digest of the secret.
    private var places: [SecretDigest: Int] = [:]

    package init() {}

    /// Throws what is wrong with a book that came from a file.
    init(_ tokens: [AccessToken]) throws(AccessError) {
        try Self.checkCount(tokens.count)
        self.tokens = tokens
        places.reserveCapacity(tokens.count)
        var names: Set<String> = []
        names.reserveCapacity(tokens.count)
        for (place, token) in tokens.enumerated() {
            try token.validate()
            guard names.insert(token.name).inserted else { throw Self.isThere(token.name) }
            if let other = places.updateValue(place, forKey: token.sha256) {
                throw AccessError("the tokens '\(tokens[other].name)' and '\(token.name)' have the same sha256")
            }
        }
    }

    /// Adds a token for this secret. Throws when the name is taken or none, a limit is zero, or the book is full.
    package mutating func create(
        _ name: String, secret: TokenSecret, limits: TokenLimits, now: Date, lifetimeSeconds: UInt64?
    ) throws(AccessError) {
        let token = AccessToken(
            name: name, sha256: SecretDigest(of: secret),
            // Whole seconds, which is what the file holds.
            created: Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down)),
            expires: lifetimeSeconds.map {
                Date(timeIntervalSince1970: (now.timeIntervalSince1970 + Double($0)).rounded(.down))
            }, limits: limits)
        try Self.checkCount(tokens.count + 1)
        try token.validate()
        guard !tokens.contains(where: { $0.name == name }) else { throw Self.isThere(name) }
        guard places[token.sha256] == nil else { throw AccessError("the secret of '\(name)' is another token's") }
        places[token.sha256] = tokens.count
        tokens.append(token)
    }

    /// Throws when there is no such token, naming those that there are, or some of them.
    package mutating func revoke(_ name: String) throws(AccessError) {
        guard let index = tokens.firstIndex(where: { $0.name == name }) else {
            throw AccessError("there is no token '\(name)'; \(namesInWords)")
        }
        places[tokens[index].sha256] = nil
        tokens.remove(at: index)
        for place in index..<tokens.count { places[tokens[place].sha256] = place }
    }

    private static let namesShownMax = 20

    private var namesInWords: String {
        guard !tokens.isEmpty else { return "there are none" }
        let names = tokens.prefix(Self.namesShownMax).map(\.name).joined(separator: ", ")
        let more = tokens.count - Self.namesShownMax
        return more > 0 ? "there are: \(names) and \(more) more (hearth token list)" : "there are: \(names)"
    }

    private static func checkCount(_ count: Int) throws(AccessError) {
        guard count <= AccessLimits.tokensMax else {
            throw AccessError("there are \(AccessLimits.tokensMax) tokens already: revoke one first")
        }
    }

    private static func isThere(_ name: String) -> AccessError {
        AccessError("there is a token '\(name)' already: revoke it first, or choose another name")
    }
}

extension TokenBook {
    /// Whose secret this is.
    ///
    /// The one token with its digest is looked up, and then compared in constant time. That the lookup's own time depends on
    /// digests in the book tells nothing: whoever guesses chooses secrets, not digests, and a secret of 256 random bits is
    /// no nearer once a digest that begins like its own is known. The comparison is what decides, so that this rests on no
    /// property of a hash table.
    package func token(of secret: TokenSecret) -> AccessToken? { token(of: secret, areEqual: SecretBytes.areEqual) }

    /// `areEqual`: for a test, which counts.
    func token(of secret: TokenSecret, areEqual: ([UInt8], [UInt8]) -> Bool) -> AccessToken? {
        let digest = SecretDigest(of: secret)
        guard let place = places[digest], areEqual(tokens[place].sha256.bytes, digest.bytes) else { return nil }
        return tokens[place]
    }

    /// The token with this digest as it is now; nil: it is gone.
    func token(_ sha256: SecretDigest) -> AccessToken? { places[sha256].map { tokens[$0] } }

    /// Tokens of this book that are gone from a newer one, or allow something else there. Looks at every token.
    package func changes(in newer: TokenBook) -> [SecretDigest] {
        tokens.filter { newer.token($0.sha256) != $0 }.map(\.sha256)
    }
}

extension TokenBook: Equatable {
    package static func == (one: TokenBook, other: TokenBook) -> Bool { one.tokens == other.tokens }
}

extension TokenBook: Codable {
    private enum Keys: String, CodingKey, CaseIterable { case tokens }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(Keys.self)
        try self.init(try container.decode([AccessToken].self, forKey: .tokens))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(tokens, forKey: .tokens)
    }
}
