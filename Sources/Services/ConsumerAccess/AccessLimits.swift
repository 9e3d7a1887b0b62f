package import GRPC

/// What bounds tokens and the file that holds them.
package enum AccessLimits {
    package static let tokensMax = 100_000
    package static let tokenFileBytesMax = 64 << 20
    package static let nameBytesMax = 64
    package static let modelsPerTokenMax = 256
    package static let modelBytesMax = 256
    /// A hundred years: more is a typing error.
    package static let lifetimeSecondsMax: UInt64 = 100 * 365 * 86_400
    /// How often files that may change are looked at.
    package static let fileCheckMilliseconds: UInt64 = 1000

    /// Every limit with its name, for the owner.
    package static var named: [NamedLimit] {
        [
            NamedLimit("tokensMax", tokensMax, "Tokens; no more are made."),
            NamedLimit("tokenFileBytesMax", tokenFileBytesMax, "Their file; a larger one is not read."),
            NamedLimit("tokenNameBytesMax", nameBytesMax, "A token's name."),
            NamedLimit("modelsPerTokenMax", modelsPerTokenMax, "Models that one token names."),
            NamedLimit(
                "fileCheckMilliseconds", fileCheckMilliseconds, "How often tokens and certificates are looked at."),
        ]
    }
}
