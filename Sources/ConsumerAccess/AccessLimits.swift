/// What bounds tokens and the file that holds them.
package enum AccessLimits {
    package static let tokensMax = 4096
    package static let tokenFileBytesMax = 8 << 20
    package static let nameBytesMax = 64
    package static let modelsPerTokenMax = 256
    package static let modelBytesMax = 256
    /// A hundred years: more is a typing error.
    package static let lifetimeSecondsMax: UInt64 = 100 * 365 * 86_400
    /// How often files that may change are looked at.
    package static let fileCheckMilliseconds: UInt64 = 1000

    /// Every limit with its name, for the owner.
    package static var named: [(name: String, value: UInt64)] {
        [
            ("tokensMax", UInt64(tokensMax)), ("tokenFileBytesMax", UInt64(tokenFileBytesMax)),
            ("tokenNameBytesMax", UInt64(nameBytesMax)), ("modelsPerTokenMax", UInt64(modelsPerTokenMax)),
            ("fileCheckMilliseconds", fileCheckMilliseconds),
        ]
    }
}
