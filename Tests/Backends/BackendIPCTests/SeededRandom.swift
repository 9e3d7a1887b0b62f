/// SplitMix64, so that every run of a test draws the same.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

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
