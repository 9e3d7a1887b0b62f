package import LimitDeclaration

/// The limits of keys and of the file that holds them.
package struct AccessLimits: LimitGroup {
    @Limit("Keys of the agent; no more can be made.")
    package var keysMax = 100_000
    @Limit("The file of keys; a larger one is not read.")
    package var keyFileBytesMax = 64 << 20
    @Limit("A key's name.")
    package var keyNameBytesMax = 64
    @Limit("Models that one key can name.")
    package var modelsPerKeyMax = 256
    @Limit("The share of a key; a caller without one has 1.")
    package var shareMax: UInt32 = 1_000
    @Limit("How often the agent checks whether keys and certificates have changed.")
    package var fileCheckMilliseconds: UInt64 = 1000

    package static let inForce = AccessLimits()

    /// The longest id of a key's model.
    static let modelBytesMax = 256
    /// A hundred years: a longer lifetime is a typing error.
    package static let lifetimeSecondsMax: UInt64 = 100 * 365 * 86_400
}
