import SeededRandom

// Values as messages hold them.
extension SeededRandom {
    /// Small numbers, borders and large ones alike.
    mutating func number() -> UInt64 {
        [0, 1, 127, 128, UInt64(UInt32.max), .max, next() >> 40, next() >> 20, next()].randomElement(using: &self) ?? 0
    }

    mutating func number32() -> UInt32 { UInt32(truncatingIfNeeded: number()) }

    mutating func text() -> String {
        let alphabet: [Character] = ["a", "Z", "0", " ", "\n", "ä", "€", "🔥", "\u{0}"]
        return String(
            (0..<Int.random(in: 0..<12, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? "a" })
    }

    mutating func bytes() -> [UInt8] {
        (0..<Int.random(in: 0..<12, using: &self)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    mutating func chance() -> Bool { Bool.random(using: &self) }
}
