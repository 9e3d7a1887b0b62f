extension Decoder {
    /// The members of an object; throws for an unknown one, which may be a limit that its author believes to be in
    /// force.
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

extension KeyedDecodingContainer {
    /// A count, if the member is present; an invalid number is refused by its name.
    func decodeCount(forKey key: Key) throws -> UInt32? {
        guard let number = try decodeIfPresent(Int.self, forKey: key) else { return nil }
        guard let count = UInt32(exactly: number) else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "it is \(number); write 0 to \(UInt32.max)")
        }
        return count
    }
}

/// A member's key, known or unknown.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
}
