internal import TLSSession

package import struct Foundation.Date

/// All tokens of a host. Pure; `TokenFile` keeps it.
package struct TokenBook: Sendable, Equatable, Codable {
    /// In the order in which they were made.
    package private(set) var tokens: [AccessToken] = []

    package init() {}

    /// Adds a token for this secret. Throws when the name is taken or none, a limit is zero, or the book is full.
    package mutating func create(
        _ name: String, secret: TokenSecret, limits: TokenLimits, now: Date, lifetimeSeconds: UInt64?
    ) throws(AccessError) {
        let token = AccessToken(
            name: name, sha256: hexadecimal(secret.digest),
            // Whole seconds, which is what the file holds.
            created: Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down)),
            expires: lifetimeSeconds.map {
                Date(timeIntervalSince1970: (now.timeIntervalSince1970 + Double($0)).rounded(.down))
            }, limits: limits)
        var changed = self
        changed.tokens.append(token)
        try changed.validate()
        self = changed
    }

    /// Throws when there is no such token, naming those that there are.
    package mutating func revoke(_ name: String) throws(AccessError) {
        guard let index = tokens.firstIndex(where: { $0.name == name }) else {
            let names = tokens.isEmpty ? "there are none" : "there are: " + tokens.map(\.name).joined(separator: ", ")
            throw AccessError("there is no token '\(name)'; \(names)")
        }
        tokens.remove(at: index)
    }

    /// Whose secret this is. Compares with every token, so that the time taken tells nothing of what is in the book.
    package func token(of secret: TokenSecret) -> AccessToken? {
        let digest = secret.digest
        var found: AccessToken?
        for token in tokens where SecretBytes.areEqual(token.digest, digest) { found = token }
        return found
    }

    /// Throws what is wrong with a book that came from a file.
    package func validate() throws(AccessError) {
        guard tokens.count <= AccessLimits.tokensMax else {
            throw AccessError("there are \(AccessLimits.tokensMax) tokens already: revoke one first")
        }
        var names: Set<String> = []
        for token in tokens {
            try token.validate()
            guard names.insert(token.name).inserted else {
                throw AccessError("there is a token '\(token.name)' already: revoke it first, or choose another name")
            }
        }
    }
}
