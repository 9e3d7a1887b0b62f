extension Decoder {
    /// The members of an object, none of which is unknown: what somebody wrote and nobody reads may be a limit that he
    /// believes in.
    func strictContainer<Keys: CodingKey & CaseIterable>(_: Keys.Type) throws -> KeyedDecodingContainer<Keys> {
        let known = Set(Keys.allCases.map(\.stringValue))
        let all = try container(keyedBy: AnyKey.self)
        for key in all.allKeys where !known.contains(key.stringValue) {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: all,
                debugDescription: "it is unknown; there are \(known.sorted().joined(separator: ", "))")
        }
        return try container(keyedBy: Keys.self)
    }
}

/// A member's key, whatever it is.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
}
