internal import ConsumerAccess
internal import GRPC

/// What a request claims of the sequences of its model.
struct QueueClaim: Equatable, Sendable {
    /// Whose request it is.
    let caller: CallerID
    /// How much its caller gets while others wait too, where a caller without a key gets 1; at least 1.
    var share: UInt32 = 1
    var priority = RequestPriority.normal
    /// The sequences that it takes, one for each of its choices; at least 1.
    var sequences = 1
    /// Whether it wants to hear its place.
    var wantsPlace = false

    /// What so long a use of its sequences counts against its caller: the time itself for a request of normal priority of
    /// a caller with the share 1.
    func cost(microseconds: UInt64) -> UInt64 {
        microseconds * UInt64(sequences) * RequestPriority.normal.weight / (UInt64(share) * priority.weight)
    }
}

extension RequestPriority {
    /// A request of one priority costs its caller an eighth of what one of the next lower priority costs.
    fileprivate var weight: UInt64 {
        switch self {
        case .low: 1
        case .normal: 8
        case .high: 64
        }
    }
}

/// A request that can wait for sequences.
protocol QueuedRequest: AnyObject {
    nonisolated var claim: QueueClaim { get }
}
