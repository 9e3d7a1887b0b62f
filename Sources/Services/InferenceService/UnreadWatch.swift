internal import LinuxSystem

/// The time since which a consumer has left so much unread that its turn stands still. Pure.
///
/// A slow reader is not one that does not read: after taking `bytesMin` bytes, its time begins anew.
struct UnreadWatch: Equatable {
    private let bytesMin: UInt64
    /// Nil while the turn can go on.
    private(set) var since: Monotonic?
    /// The bytes that had been taken then.
    private var takenBytes: UInt64 = 0

    /// Taking fewer bytes than `bytesMin` does not count.
    init(bytesMin: Int) { self.bytesMin = UInt64(bytesMin) }

    /// Another call reads, whose bytes are counted anew.
    mutating func begin() {
        since = nil
        takenBytes = 0
    }

    /// Takes the present state: whether so much waits that the turn stands still, and the bytes taken since the call
    /// began.
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
