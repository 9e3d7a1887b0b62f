/// What a key has used of its minute, for another agent on the same machine.
package struct UsedTokens: Sendable, Equatable {
    /// The SHA-256 of the key's secret.
    package let keySHA256: [UInt8]
    /// The second of `Monotonic.now` of the first count.
    package let second: UInt64
    /// The tokens of that second, and of each one before it.
    package let counts: [UInt64]

    package init(keySHA256: [UInt8], second: UInt64, counts: [UInt64]) {
        self.keySHA256 = keySHA256
        self.second = second
        self.counts = counts
    }
}
