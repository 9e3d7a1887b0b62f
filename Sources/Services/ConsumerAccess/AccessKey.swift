package import struct Foundation.Date

/// What a key allows; nil and empty: no limit of its own.
package struct KeyLimits: Sendable, Equatable, Codable {
    /// Calls that are open at once.
    package var streams: UInt32?
    /// Tokens computed in any minute: completion tokens, and prompt tokens that were not cached.
    package var tokensPerMinute: UInt32?
    /// The only models that it may see and use; empty: all.
    package var models: [String]
    /// How much of a model's sequences it gets while others wait too, where a caller without a key gets 1; nil: 1.
    package var share: UInt32?
    /// The highest priority that it may ask for; nil: normal.
    package var priority: RequestPriority?

    package init(
        streams: UInt32? = nil, tokensPerMinute: UInt32? = nil, models: [String] = [], share: UInt32? = nil,
        priority: RequestPriority? = nil
    ) {
        self.streams = streams
        self.tokensPerMinute = tokensPerMinute
        self.models = models
        self.share = share
        self.priority = priority
    }

    package func allows(model: String) -> Bool { models.isEmpty || models.contains(model) }

    private enum CodingKeys: String, CodingKey, CaseIterable { case streams, tokensPerMinute, models, share, priority }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        streams = try container.decodeCount(forKey: .streams)
        tokensPerMinute = try container.decodeCount(forKey: .tokensPerMinute)
        models = try container.decode([String].self, forKey: .models)
        share = try container.decodeCount(forKey: .share)
        priority = try container.decodeIfPresent(RequestPriority.self, forKey: .priority)
    }
}

/// A right to call: a consumer's, to ask for inference, or an owner's, to ask over HTTP what the owner's command line asks.
/// Only the SHA-256 of the secret is kept.
package struct AccessKey: Sendable, Equatable, Codable {
    package let name: String
    /// It gives what is the owner's, and no inference; it has no limits.
    package let isOwner: Bool
    package let sha256: SecretDigest
    package let created: Date
    /// The time from which the key is refused; nil: never.
    package let expires: Date?
    package var limits: KeyLimits

    init(
        name: String, isOwner: Bool = false, sha256: SecretDigest, created: Date, expires: Date?, limits: KeyLimits
    ) {
        self.name = name
        self.isOwner = isOwner
        self.sha256 = sha256
        self.created = created
        self.expires = expires
        self.limits = limits
    }

    package func isExpired(at now: Date) -> Bool { expires.map { $0 <= now } ?? false }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, sha256, created, expires, limits
        case isOwner = "owner"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        sha256 = try container.decode(SecretDigest.self, forKey: .sha256)
        created = try container.decode(Date.self, forKey: .created)
        expires = try container.decodeIfPresent(Date.self, forKey: .expires)
        limits = try container.decode(KeyLimits.self, forKey: .limits)
        isOwner = try container.decodeIfPresent(Bool.self, forKey: .isOwner) ?? false
    }

    /// A consumer's key is written as earlier versions read it.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(sha256, forKey: .sha256)
        try container.encode(created, forKey: .created)
        try container.encodeIfPresent(expires, forKey: .expires)
        try container.encode(limits, forKey: .limits)
        if isOwner { try container.encode(true, forKey: .isOwner) }
    }

    /// Throws if a key from a file or a command line is invalid.
    func validate() throws(AccessError) {
        let most = AccessLimits.inForce
        guard (1...most.keyNameBytesMax).contains(name.utf8.count), name.utf8.allSatisfy(Self.isNameByte) else {
            throw AccessError(
                "key '\(name)': a name has 1 to \(most.keyNameBytesMax) letters, digits, '.', '_' or '-'")
        }
        guard !isOwner || limits == KeyLimits() else {
            throw AccessError("key '\(name)': an owner's key gives no inference, so that it has no limits of it")
        }
        guard limits.streams != 0 else { throw AccessError("key '\(name)': allow at least one stream, or revoke it") }
        guard limits.tokensPerMinute != 0 else {
            throw AccessError("key '\(name)': allow at least one token a minute, or revoke it")
        }
        guard (1...most.shareMax).contains(limits.share ?? 1) else {
            throw AccessError("key '\(name)': a share is 1 to \(most.shareMax)")
        }
        guard limits.models.count <= most.modelsPerKeyMax else {
            throw AccessError("key '\(name)': more than \(most.modelsPerKeyMax) models are named")
        }
        guard limits.models.allSatisfy({ (1...AccessLimits.modelBytesMax).contains($0.utf8.count) }) else {
            throw AccessError("key '\(name)': a model's name has 1 to \(AccessLimits.modelBytesMax) bytes")
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// "90s", "15m", "12h", "30d" or "4w" as seconds.
package enum KeyLifetime {
    /// Throws for any other text, for 0, and for more than a hundred years.
    package static func seconds(_ text: String) throws(AccessError) -> UInt64 {
        let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let unit = text.last.flatMap({ units[$0] }), let number = UInt64(text.dropLast()), number > 0,
            text.first != "+", number <= AccessLimits.lifetimeSecondsMax / unit
        else {
            throw AccessError("'\(text)' is no time to expire in: write 90s, 15m, 12h, 30d or 4w")
        }
        return number * unit
    }
}
