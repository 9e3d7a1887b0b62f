internal import HTTPProtocols
internal import Synchronization

/// Bounds the bytes of all bodies that are being received, or wait to be read.
final class BodyBudget: Sendable {
    private let max: Int
    private let used = Atomic<Int>(0)

    init(max: Int) { self.max = max }

    /// Counts bytes that have come; throws 503 when there are too many.
    func take(_ byteCount: Int) throws(HTTPFailure) {
        guard used.add(byteCount, ordering: .relaxed).newValue <= max else {
            giveBack(byteCount)
            throw HTTPFailure(
                503, type: "server_error", code: "unavailable",
                "too many long requests arrive at once; try again in a moment", retryAfterSeconds: 1)
        }
    }

    func giveBack(_ byteCount: Int) { used.subtract(byteCount, ordering: .relaxed) }
}
