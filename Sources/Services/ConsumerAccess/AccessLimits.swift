package import GRPC

/// What bounds keys and the file that holds them.
package enum AccessLimits {
    package static let keysMax = 100_000
    package static let keyFileBytesMax = 64 << 20
    package static let nameBytesMax = 64
    package static let modelsPerKeyMax = 256
    package static let modelBytesMax = 256
    /// A hundred years: more is a typing error.
    package static let lifetimeSecondsMax: UInt64 = 100 * 365 * 86_400
    /// How often files that may change are looked at.
    package static let fileCheckMilliseconds: UInt64 = 1000

    /// Every limit with its name, for the owner.
    package static var named: [NamedLimit] {
        [
            NamedLimit("keysMax", keysMax, "Keys; no more are made."),
            NamedLimit("keyFileBytesMax", keyFileBytesMax, "Their file; a larger one is not read."),
            NamedLimit("keyNameBytesMax", nameBytesMax, "A key's name."),
            NamedLimit("modelsPerKeyMax", modelsPerKeyMax, "Models that one key names."),
            NamedLimit(
                "fileCheckMilliseconds", fileCheckMilliseconds, "How often keys and certificates are looked at."),
        ]
    }
}
