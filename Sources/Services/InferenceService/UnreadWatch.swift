internal import LinuxSystem

/// Since when a consumer has left unread what lets its turn not go on. Pure.
///
/// One that reads slowly is not one that does not read: whoever has taken so many bytes begins anew.
struct UnreadWatch: Equatable {
    private let bytesMin: UInt64
    /// Nil while nothing stands in the way.
    private(set) var since: Monotonic?
    /// What had been taken then.
    private var takenBytes: UInt64 = 0

    /// Taking fewer bytes than these counts as nothing.
    init(bytesMin: Int) { self.bytesMin = UInt64(bytesMin) }

    /// What is seen now: whether so much waits that the turn stands still, and what has been taken since the call began.
    mutating func look(isCongested: Bool, takenBytes: UInt64, at now: Monotonic) {
        guard isCongested else {
            since = nil
            return
        }
        if since == nil || takenBytes >= self.takenBytes + bytesMin {
            since = now
            self.takenBytes = takenBytes
        }
    }
}
