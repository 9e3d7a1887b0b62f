/// What bounds the inference service. Each is a status when reached, never growth.
package struct InferenceLimits: Sendable, Equatable {
    /// Requests that wait for a sequence of one model; the next is refused with RESOURCE_EXHAUSTED.
    package var queuedRequestsMax = 1024
    /// Tokens that a backend may compute ahead of what its consumer has taken.
    package var creditTokens: UInt32 = 1024
    /// Bytes of a stream that wait for its consumer; above this no credit is granted until they have left.
    package var streamBufferBytes = 64 * 1024
    /// Turns on one stream of `Chat`.
    package var turnsPerStreamMax = 10_000
    package var requestIDBytesMax = 128
    package var messagesMax = 4096
    package var stopStringsMax = 16
    package var stopStringBytesMax = 256
    package var stopTokenIDsMax = 64
    package var backendOptionsMax = 64
    package var backendOptionsBytesMax = 16 * 1024
    /// How often a waiting consumer hears of its place.
    package var queuePositionMilliseconds: UInt64 = 500

    package init() {}

    /// Every limit with its name, for the owner.
    package var named: [(name: String, value: UInt64)] {
        Mirror(reflecting: self).children.compactMap { child in
            guard let name = child.label, let number = child.value as? any BinaryInteger else { return nil }
            return (name, UInt64(clamping: number))
        }
    }
}
